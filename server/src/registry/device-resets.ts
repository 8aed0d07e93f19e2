import { sql } from 'kysely'
import { AppError, type Clock, type Database, type DeviceId, type Secret, type Tx } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import type { Changes } from './changes.ts'
import { canonicalClaimCode } from './claim-code.ts'
import { isViolation } from './database-error.ts'
import type { Registry, Tenure, TenureChange } from './face.ts'
import type { HouseholdLog } from './household-log.ts'
import type { RegistryTables } from './tables.ts'
import type { TenureEndings } from './tenure-endings.ts'
import { lockCurrentTenure, lockHouseholds } from './tenure-locks.ts'

/** How long after a physical reset a device may be claimed again. */
const CLAIM_WINDOW_MS = 15 * 60_000
/** A household is told of the resets of a device that it holds on to, but not more often than this. */
const TOLD_EVERY_MS = 60 * 60_000
/** Resets that are recognised when they come again. A device repeats its last one, not its last but sixteenth. */
const REMEMBERED = 16

/** All in one length. */
const RESET_BYTES = 48

interface Reset {
  atMs: number
  /** It brought a new claim code. */
  fresh?: boolean
}

const resetPlace = (deviceId: DeviceId) => place('registry.device.reset', deviceId)

export interface DeviceResets extends Pick<Registry, 'recordReset' | 'isResetKnown'> {
  /**
   * Whether the sealed column tells of a reset that opens a claim at this moment. `freshCode`: only one that brought a
   * new code does, for others know the one of before.
   */
  opensClaim(deviceId: DeviceId, reset: Buffer | null, need: { freshCode: boolean }): boolean
}

/**
 * Physical resets, as devices tell of them (Matter `BasicInformation.Leave`) over their own authenticated sessions.
 * docs/decisions/0007 says why this is what another claim rests on.
 */
export function createDeviceResets(d: {
  database: Database
  keys: Keys
  clock: Clock
  endings: TenureEndings
  householdLog: HouseholdLog
  changes: Changes
}): DeviceResets {
  const { database, keys, clock, endings, householdLog, changes } = d
  const purpose = keys.purpose('registry.device-reset')
  const codes = keys.purpose('registry.claim-code')
  const digests = (deviceId: DeviceId, messageId: string) => purpose.digests(place(deviceId, messageId))

  async function isKnown(
    tx: Tx | Database['queries'],
    deviceId: DeviceId,
    messageId: string,
  ): Promise<boolean> {
    const row = await (tx as Tx)
      .withTables<RegistryTables>()
      .selectFrom('registry.device_reset')
      .select('device_id')
      .where('device_id', '=', deviceId)
      .where('message_digest', 'in', digests(deviceId, messageId))
      .executeTakeFirst()
    return row !== undefined
  }

  async function remember(
    tx: Tx,
    deviceId: DeviceId,
    { messageId, claimCode }: { messageId: string; claimCode: Secret | undefined },
  ): Promise<void> {
    const tables = tx.withTables<RegistryTables>()
    await tables
      .insertInto('registry.device_reset')
      .values({ device_id: deviceId, message_digest: digests(deviceId, messageId)[0] as Buffer })
      .execute()
    await sql`
      delete from registry.device_reset where device_id = ${deviceId} and number <= (
        select number from registry.device_reset where device_id = ${deviceId}
        order by number desc offset ${REMEMBERED} limit 1
      )`.execute(tx)
    const reset: Reset = { atMs: clock.nowMs(), fresh: claimCode !== undefined }
    const code = claimCode && canonicalClaimCode(claimCode)
    await tables
      .updateTable('registry.device')
      .set({
        reset: purpose.seal(resetPlace(deviceId), JSON.stringify(reset).padEnd(RESET_BYTES)),
        ...(code && { claim_code_digest: codes.digest(code), claim_code_fresh: true }),
      })
      .where('device_id', '=', deviceId)
      .execute()
      .catch((error: unknown) => {
        throw isViolation(error, 'unique') ? new AppError('conflict') : error
      })
  }

  /** Locks the tenure in which the device said it, when it still holds; else the device alone. */
  async function lock(tx: Tx, deviceId: DeviceId, tenure: Tenure | undefined): Promise<Tenure | undefined> {
    if (tenure) await lockHouseholds(tx, [tenure.householdId])
    await tx
      .withTables<RegistryTables>()
      .selectFrom('registry.device')
      .select('device_id')
      .where('device_id', '=', deviceId)
      .forUpdate()
      .executeTakeFirstOrThrow()
    return tenure && lockCurrentTenure(tx, tenure.tenureId)
  }

  async function device(tx: Tx, deviceId: DeviceId) {
    const row = await tx
      .withTables<RegistryTables>()
      .selectFrom('registry.device as device')
      .innerJoin('registry.model as model', 'model.model_id', 'device.model_id')
      .select(['model.definition', 'device.reset'])
      .where('device.device_id', '=', deviceId)
      .executeTakeFirstOrThrow()
    return { claimPolicy: row.definition.claimPolicy, lastReset: row.reset }
  }

  function isWithin(deviceId: DeviceId, reset: Buffer | null, windowMs: number): boolean {
    if (!reset) return false
    const ageMs = clock.nowMs() - opened(deviceId, reset).atMs
    return ageMs >= 0 && ageMs <= windowMs
  }

  const opened = (deviceId: DeviceId, reset: Buffer): Reset =>
    JSON.parse(purpose.unseal(resetPlace(deviceId), reset).toString())

  return {
    isResetKnown: ({ deviceId, messageId }) => isKnown(database.queries, deviceId, messageId),

    async recordReset({ deviceId, tenure, messageId, claimCode }) {
      const change = await database.transaction(async (tx): Promise<TenureChange | undefined> => {
        const held = await lock(tx, deviceId, tenure)
        if (await isKnown(tx, deviceId, messageId)) return undefined
        const { claimPolicy, lastReset } = await device(tx, deviceId)
        await remember(tx, deviceId, { messageId, claimCode })
        if (!held) return undefined
        if (claimPolicy === 'possession')
          return endings.endTenure(tx, held, { how: 'reset', history: 'kept' })
        // Whoever presses the button again and again writes no letter each time.
        if (isWithin(deviceId, lastReset, TOLD_EVERY_MS)) return undefined
        await householdLog.append(tx, held.householdId, {
          kind: 'device_reset',
          deviceId,
          tenureEnded: false,
        })
        return undefined
      })
      if (change) changes.tenure(change)
      return { tenureEnded: change !== undefined }
    },

    opensClaim: (deviceId, reset, { freshCode }) =>
      reset !== null &&
      isWithin(deviceId, reset, CLAIM_WINDOW_MS) &&
      (!freshCode || opened(deviceId, reset).fresh === true),
  }
}
