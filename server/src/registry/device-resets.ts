import { sql } from 'kysely'
import type { Clock, Database, DeviceId, Tx } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import type { Changes } from './changes.ts'
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

const resetPlace = (deviceId: DeviceId) => place('registry.device.reset', deviceId)

export interface DeviceResets extends Pick<Registry, 'recordReset' | 'isResetKnown'> {
  /** Whether the sealed column tells of a reset that opens a claim at this moment. */
  opensClaim(deviceId: DeviceId, reset: Buffer | null): boolean
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

  async function remember(tx: Tx, deviceId: DeviceId, messageId: string): Promise<void> {
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
    const atMs = JSON.stringify({ atMs: clock.nowMs() })
    await tables
      .updateTable('registry.device')
      .set({ reset: purpose.seal(resetPlace(deviceId), atMs) })
      .where('device_id', '=', deviceId)
      .execute()
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
    const { atMs } = JSON.parse(purpose.unseal(resetPlace(deviceId), reset).toString()) as { atMs: number }
    const ageMs = clock.nowMs() - atMs
    return ageMs >= 0 && ageMs <= windowMs
  }

  return {
    isResetKnown: ({ deviceId, messageId }) => isKnown(database.queries, deviceId, messageId),

    async recordReset({ deviceId, tenure, messageId }) {
      const change = await database.transaction(async (tx): Promise<TenureChange | undefined> => {
        const held = await lock(tx, deviceId, tenure)
        if (await isKnown(tx, deviceId, messageId)) return undefined
        const { claimPolicy, lastReset } = await device(tx, deviceId)
        await remember(tx, deviceId, messageId)
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

    opensClaim: (deviceId, reset) => isWithin(deviceId, reset, CLAIM_WINDOW_MS),
  }
}
