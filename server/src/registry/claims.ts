import { sql } from 'kysely'
import {
  AppError,
  type Database,
  type DeviceId,
  isAppError,
  type PresentedInVain,
  type Tx,
} from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { Access } from './access.ts'
import type { Changes } from './changes.ts'
import { canonicalClaimCode } from './claim-code.ts'
import { isViolation } from './database-error.ts'
import type { DeviceResets } from './device-resets.ts'
import type { Registry, Tenure } from './face.ts'
import type { HouseholdLog } from './household-log.ts'
import type { RegistryTables } from './tables.ts'
import type { Nicknames, TenureStart } from './tenure-starts.ts'

type Claim = Parameters<Registry['claim']>[0]

export type Claims = Pick<Registry, 'claim'> & { stats(): Record<string, number> }

/** Taking a device that nobody holds, with the code on its label, or the one that it made when it was reset. */
export function createClaims(d: {
  database: Database
  keys: Keys
  access: Access
  resets: DeviceResets
  nicknames: Nicknames
  startTenure: (tx: Tx, start: TenureStart) => Promise<Tenure>
  householdLog: HouseholdLog
  changes: Changes
  isOnline: (deviceId: DeviceId) => boolean | Promise<boolean>
  presentedInVain: PresentedInVain
}): Claims {
  const { database, access, resets, nicknames, startTenure, householdLog, changes, isOnline } = d
  const digests = d.keys.purpose('registry.claim-code')
  const counts = { claims: 0, refused: 0 }

  /** One answer for all: a stranger who tries codes must not learn which exist, are taken or were just reset. */
  function refused(): AppError {
    counts.refused++
    return new AppError('claim_refused')
  }

  function devicesOf(code: string, tx?: Tx) {
    return (tx ?? database.queries)
      .withTables<RegistryTables>()
      .selectFrom('registry.device as device')
      .select(['device.device_id', 'device.held_before', 'device.reset', 'device.claim_code_fresh'])
      .select((eb) =>
        eb
          .selectFrom('registry.model as model')
          .select(sql<string | null>`model.definition ->> 'reset'`.as('reset'))
          .whereRef('model.model_id', '=', 'device.model_id')
          .as('model_reset'),
      )
      .where('device.claim_code_digest', 'in', digests.digests(code))
      .where('device.disabled', '=', false)
  }

  /**
   * Asked before anything is locked: the answer may come from another process. How long that takes tells whether the
   * device is connected, so that it is not asked about one that could not be claimed: former owners know the code.
   */
  async function isConnected(code: string): Promise<boolean> {
    return isOnline(await claimable(devicesOf(code)))
  }

  /** The device of this code, free to be claimed now. With `tx` it is locked. */
  async function claimable(devices: ReturnType<typeof devicesOf>, tx?: Tx): Promise<DeviceId> {
    const tables = (tx ?? database.queries).withTables<RegistryTables>()
    const device = await devices.executeTakeFirst()
    if (!device) throw refused()
    const current = await tables
      .selectFrom('registry.tenure')
      .select('tenure_id')
      .where('device_id', '=', device.device_id)
      .where('ended_hour', 'is', null)
      .executeTakeFirst()
    // The unique index tenure_current would refuse as well; here, before a key is made for nothing.
    if (current) throw refused()
    // Whoever held it before knows the code: only what takes the device in hand counts from the second claim on.
    const freshCode = device.claim_code_fresh || device.model_reset === 'fresh-code'
    if (device.held_before && !resets.opensClaim(device.device_id, device.reset, { freshCode }))
      throw refused()
    return device.device_id
  }

  async function claim({ accountId, householdId, code, nickname }: Claim): Promise<Tenure> {
    const name = nickname && nicknames.check(nickname)
    const canonical = canonicalClaimCode(code)
    await access.inHousehold({ accountId, householdId }, 'configure')
    if (canonical === undefined || !(await isConnected(canonical))) throw refused()
    const tenure = await database
      .transaction(async (tx) => {
        await access.inHousehold({ accountId, householdId }, 'configure', tx)
        const deviceId = await claimable(devicesOf(canonical, tx).forUpdate(), tx)
        const started = await startTenure(tx, { accountId, householdId, deviceId, nickname: name })
        await householdLog.append(tx, householdId, { kind: 'claimed', by: accountId, deviceId })
        return started
      })
      .catch((error: unknown) => {
        throw isViolation(error, 'unique') ? refused() : error
      })
    counts.claims++
    changes.tenure({ deviceId: tenure.deviceId, tenure })
    return tenure
  }

  return {
    async claim(wish) {
      try {
        return await claim(wish)
      } catch (error) {
        if (isAppError(error, 'claim_refused')) d.presentedInVain('a claim', [wish.code.reveal()])
        throw error
      }
    },

    stats: () => ({ registry_claims: counts.claims, registry_claims_refused: counts.refused }),
  }
}
