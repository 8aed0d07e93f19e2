import { type AccountId, type HouseholdId, newId } from '../../src/core/index.ts'
import type { DeviceGrant, GuestSchedule, NewRole } from '../../src/registry/index.ts'
import type { World } from './world.ts'

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS

export interface Home {
  owner: AccountId
  householdId: HouseholdId
}

export async function home(world: World): Promise<Home> {
  const { accountId, household } = await world.settle()
  return { owner: accountId, householdId: household.householdId }
}

/** A lock (or another shipped model) that the home holds. */
export async function held(world: World, { owner, householdId }: Home, model = 'hearth-lock') {
  const device = await world.provisionOne(model)
  world.online.add(device.deviceId)
  return world.registry.claim({ accountId: owner, householdId, code: device.claimCode })
}

export function guest(
  world: World,
  devices: DeviceGrant[] = [],
  schedule: Partial<GuestSchedule> = {},
): NewRole {
  return { role: 'guest', guest: { schedule: { untilMs: world.time.nowMs + DAY_MS, ...schedule }, devices } }
}

/** A new account that came into the home by an invitation. */
export async function join(world: World, { owner, householdId }: Home, as: NewRole): Promise<AccountId> {
  const { code } = await world.registry.invite({ accountId: owner, householdId, as, hours: 72 })
  const accountId = newId<AccountId>()
  await world.registry.acceptInvitation(accountId, code)
  return accountId
}
