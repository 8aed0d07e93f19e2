import {
  type AccountId,
  AppError,
  type Clock,
  type Database,
  type DeviceId,
  type HouseholdId,
  type Tx,
} from '../core/index.ts'
import { type Keys, place, type SealingKey } from '../keys/index.ts'
import type { BeforeTenureEnds, History, Tenure, TenureChange, TenureEnd } from './face.ts'
import type { HouseholdEvent } from './household-event.ts'
import type { HouseholdLog } from './household-log.ts'
import type { RegistryTables } from './tables.ts'

const HOUR_MS = 3_600_000
/** All endings in one length: a copy does not tell how a tenure ended. */
const ENDING_BYTES = 64

/** How and when a tenure ended. */
export interface Ending {
  how: TenureEnd
  atMs: number
}

export interface EndOfTenure {
  how: TenureEnd
  history: History
  /** Who ended it; absent where a device or an operator did. */
  by?: AccountId | undefined
}

/** The one way in which a tenure ends, and everything that hangs on it with it, in one commit. */
export interface TenureEndings {
  /**
   * The caller holds the locks of `tenure-locks`, and announces the change after the commit.
   * @throws AppError stale_tenure when the tenure has ended
   */
  endTenure(tx: Tx, tenure: Tenure, end: EndOfTenure): Promise<TenureChange>
  /** Of a tenure that has ended and whose history was kept; the caller has locked its row. */
  destroyHistory(tx: Tx, tenure: Tenure): Promise<void>
  /** What the household's own records are sealed with. */
  householdKey(householdId: HouseholdId, tx?: Tx): Promise<SealingKey>
  endingOf(row: Pick<Tenure, 'tenureId' | 'householdId'>, sealed: Buffer): Promise<Ending>
  beforeTenureEnds(hook: BeforeTenureEnds): () => void
}

const endingPlace = ({ tenureId }: Pick<Tenure, 'tenureId'>) => place('registry.tenure.ending', tenureId)

export function createTenureEndings(d: {
  database: Database
  keys: Keys
  clock: Clock
  householdLog: HouseholdLog
}): TenureEndings {
  const { database, keys, clock, householdLog } = d
  const hooks = new Set<BeforeTenureEnds>()

  async function householdKey(householdId: HouseholdId, tx?: Tx): Promise<SealingKey> {
    const { key_id } = await (tx ?? database.queries)
      .withTables<RegistryTables>()
      .selectFrom('registry.household')
      .select('key_id')
      .where('household_id', '=', householdId)
      .executeTakeFirstOrThrow()
    return keys.open(key_id, tx)
  }

  async function destroy(tx: Tx, tenure: Tenure): Promise<void> {
    await tx
      .withTables<RegistryTables>()
      .updateTable('registry.tenure')
      .set({ history: 'destroyed', nickname: null })
      .where('tenure_id', '=', tenure.tenureId)
      .execute()
    // Last: from here on no handle of this process opens anything of the tenure.
    await keys.destroy(tx, tenure.keyId)
  }

  return {
    householdKey,

    async endTenure(tx, tenure, end) {
      const tables = tx.withTables<RegistryTables>()
      const { how, history } = end
      const { tenureId, deviceId } = tenure
      const nowMs = clock.nowMs()
      const key = await householdKey(tenure.householdId, tx)
      const ending = JSON.stringify({ how, atMs: nowMs } satisfies Ending).padEnd(ENDING_BYTES)
      const { numUpdatedRows } = await tables
        .updateTable('registry.tenure')
        .set({
          ended_hour: new Date(Math.floor(nowMs / HOUR_MS) * HOUR_MS),
          ending: key.seal(endingPlace(tenure), ending),
        })
        .where('tenure_id', '=', tenureId)
        .where('ended_hour', 'is', null)
        .executeTakeFirst()
      if (numUpdatedRows !== 1n) throw new AppError('stale_tenure')
      for (const table of ['registry.access_grant', 'registry.transfer_offer'] as const) {
        await tables.deleteFrom(table).where('tenure_id', '=', tenureId).execute()
      }
      await tables
        .updateTable('registry.dispute')
        .set({ open: false })
        .where('tenure_id', '=', tenureId)
        .where('open', '=', true)
        .execute()
      // What a reset opened before this end, it does not open after it: the former household has the device in hand.
      if (how !== 'reset') {
        await tables
          .updateTable('registry.device')
          .set({ reset: null })
          .where('device_id', '=', deviceId)
          .execute()
      }
      const event = eventOf(deviceId, end)
      if (event) await householdLog.append(tx, tenure.householdId, event)
      for (const hook of hooks) await hook(tx, tenure, { history })
      if (history === 'destroyed') await destroy(tx, tenure)
      return { deviceId, tenure: undefined }
    },

    async destroyHistory(tx, tenure) {
      for (const hook of hooks) await hook(tx, tenure, { history: 'destroyed' })
      await destroy(tx, tenure)
    },

    async endingOf(tenure, sealed) {
      const key = await householdKey(tenure.householdId)
      return JSON.parse(key.unseal(endingPlace(tenure), sealed).toString()) as Ending
    },

    beforeTenureEnds(hook) {
      const own: BeforeTenureEnds = (...all) => hook(...all)
      hooks.add(own)
      return () => hooks.delete(own)
    },
  }
}

/** What the former household reads of it. A household that is erased has no log any more. */
function eventOf(deviceId: DeviceId, { how, history, by }: EndOfTenure): HouseholdEvent | undefined {
  switch (how) {
    case 'released':
      return { kind: 'released', by, deviceId, history }
    case 'transferred':
      return { kind: 'transferred_away', by, deviceId, history }
    case 'disputed':
      return { kind: 'dispute_completed', deviceId }
    case 'reset':
      return { kind: 'device_reset', deviceId, tenureEnded: true }
    default:
      return undefined
  }
}
