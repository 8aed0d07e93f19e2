import {
  type AccountId,
  AppError,
  type Clock,
  type DeviceId,
  type HouseholdId,
  type KeyId,
  type Tx,
} from '../core/index.ts'
import type { Act } from './face.ts'
import type { Memberships } from './memberships.ts'
import { mayAct, mayActInHousehold, type Standing } from './standing.ts'
import type { Standings } from './standings.ts'
import type { SupportUse } from './support-use.ts'

type StandingQuery = ReturnType<Standings['of']>
export type StandingRecord = Awaited<ReturnType<StandingQuery['executeTakeFirstOrThrow']>>

/** Asks what an account may do, and denies: the facts are read by `standings`, the decisions made by `standing`. */
export interface Access {
  /**
   * May the account do this in the household now? Within `tx` its row is locked: the answer holds until the commit.
   * @throws AppError not_found
   */
  inHousehold(
    who: { accountId: AccountId; householdId: HouseholdId },
    act: Act,
    tx?: Tx,
  ): Promise<{ householdKeyId: KeyId }>
  /** Current tenures with which the account has anything to do. */
  held(accountId: AccountId, tx?: Tx): StandingQuery
  /** What the decision rested on, when the account may do this on the row's device now. */
  allowed(row: StandingRecord, act: Act, tx?: Tx): Promise<Standing | undefined>
  /**
   * The device's current tenure, when the account may do this on it now.
   * @throws AppError not_found: absent and forbidden look alike
   */
  onDevice(
    accountId: AccountId,
    deviceId: DeviceId,
    act: Act,
    tx?: Tx,
  ): Promise<{ row: StandingRecord; standing: Standing }>
  /** A refusal, counted. */
  denied(): AppError
  stats(): Record<string, number>
}

export function createAccess(d: {
  clock: Clock
  memberships: Memberships
  standings: Standings
  /** Before an operator is answered: the household is to know. */
  supportUsed: (use: SupportUse) => Promise<void>
}): Access {
  const { clock, memberships, standings, supportUsed } = d
  let denials = 0

  function denied(): AppError {
    denials++
    return new AppError('not_found')
  }

  const held: Access['held'] = (accountId, tx) =>
    standings.of(accountId, tx).where('tenure.ended_hour', 'is', null)

  const allowed: Access['allowed'] = async (row, act, tx) => {
    const standing = await standings.open(row, tx)
    const nowMs = clock.nowMs()
    if (!mayAct(standing, act, nowMs)) return undefined
    // To end a tenure is to change the household: whoever is held back there does neither.
    if (act === 'manage' && !mayActInHousehold(standing, act, nowMs)) return undefined
    const { grant_id: grantId, account_id: operator, household_id: householdId, device_id: deviceId } = row
    if (standing.role === undefined && grantId) {
      await supportUsed({ grantId, operator, householdId, deviceId, act })
    }
    return standing
  }

  return {
    async inHousehold(who, act, tx) {
      const member = await memberships.of(who, tx)
      if (!member.householdKeyId || !mayActInHousehold(member, act, clock.nowMs())) throw denied()
      return { householdKeyId: member.householdKeyId }
    },
    held,
    allowed,
    async onDevice(accountId, deviceId, act, tx) {
      const row = await held(accountId, tx).where('tenure.device_id', '=', deviceId).executeTakeFirst()
      const standing = row && (await allowed(row, act, tx))
      if (!standing) throw denied()
      return { row, standing }
    },
    denied,
    stats: () => ({ registry_denied: denials }),
  }
}
