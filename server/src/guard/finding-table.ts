import { type Database, isAppError, type Tx } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import type { Finding, FindingId, FindingKind, FindingState } from './finding-face.ts'
import { paddedJson, parseJson } from './padded-json.ts'
import type { GuardTables } from './tables.ts'

type Content = Omit<Finding, 'findingId' | 'kind' | 'state' | 'storeKey'>
interface Row {
  finding_id: FindingId
  store_key: string
  kind: string
  state: FindingState
  sealed: Buffer
}
/** `now`: by both ways, as soon as may be. `none`: nobody any more. */
type Due = 'now' | 'none'

const COLUMNS = ['finding_id', 'store_key', 'kind', 'state', 'sealed'] as const
const NEWEST = 200

/** The rows of findings. What was seen and who did what is sealed to its row. */
export interface FindingTable {
  newest(o: { all: boolean }): Promise<Finding[]>
  /** With `tx`, locked. */
  find(findingId: FindingId, tx?: Tx): Promise<Finding | undefined>
  /** The one of this kind at this store that is not closed; with `tx`, locked. */
  unclosed(at: { storeKey: string; kind: FindingKind }, tx?: Tx): Promise<Finding | undefined>
  /** `undefined` when another process was first. */
  insert(tx: Tx, finding: Omit<Finding, 'findingId'>, nowMs: number): Promise<Finding | undefined>
  update(tx: Tx, finding: Finding, due?: Due, nowMs?: number): Promise<void>
  counts(): Promise<{ open: number; unacknowledged: number }>
}

const BROKEN = {
  name: 'unknown',
  address: 'unknown',
  evidence: 'the record of this finding does not open: somebody changed it in the database',
  openedAtMs: 0,
  cut: [],
}

const findingPlace = (storeKey: string, kind: string) => place('guard.finding', storeKey, kind)

export function createFindingTable(o: { database: Database; keys: Keys }): FindingTable {
  const tables = o.database.queries.withTables<GuardTables>()
  const within = (tx: Tx) => tx.withTables<GuardTables>()
  const sealing = o.keys.purpose('guard.finding')

  function seal({ findingId: _id, kind, state: _state, storeKey, ...content }: Finding): Buffer {
    return sealing.seal(findingPlace(storeKey, kind), paddedJson(content, 1024))
  }

  function open({ finding_id, store_key, kind, state, sealed }: Row): Finding {
    const row = { findingId: finding_id, storeKey: store_key, kind: kind as FindingKind, state }
    try {
      return { ...row, ...parseJson<Content>(sealing.unseal(findingPlace(store_key, kind), sealed)) }
    } catch (error) {
      if (!isAppError(error, 'integrity_failed')) throw error
      // Whoever can write to the database must not silence it, nor those behind it.
      return { ...row, ...BROKEN, pages: { webhook: 0, mail: 0 } }
    }
  }

  const dues = (due: Due, nowMs: number) => {
    const at = due === 'now' ? new Date(nowMs) : null
    return { webhook_due: at, mail_due: at }
  }

  return {
    async newest({ all }) {
      let query = tables
        .selectFrom('guard.finding')
        .select(COLUMNS)
        .orderBy('finding_id', 'desc')
        .limit(NEWEST)
      if (!all) query = query.where('state', '<>', 'closed')
      return (await query.execute()).map(open)
    },

    async find(findingId, tx) {
      const query = (tx ? within(tx) : tables)
        .selectFrom('guard.finding')
        .select(COLUMNS)
        .where('finding_id', '=', findingId)
      const row = await (tx ? query.forUpdate() : query).executeTakeFirst()
      return row && open(row)
    },

    async unclosed({ storeKey, kind }, tx) {
      const query = (tx ? within(tx) : tables)
        .selectFrom('guard.finding')
        .select(COLUMNS)
        .where('store_key', '=', storeKey)
        .where('kind', '=', kind)
        .where('state', '<>', 'closed')
      const row = await (tx ? query.forUpdate() : query).executeTakeFirst()
      return row && open(row)
    },

    async insert(tx, finding, nowMs) {
      const { storeKey, kind, state } = finding
      const row = await within(tx)
        .insertInto('guard.finding')
        .values({
          store_key: storeKey,
          kind,
          state,
          sealed: seal({ ...finding, findingId: 0 }),
          ...dues('now', nowMs),
        })
        .onConflict((conflict) => conflict.doNothing())
        .returning('finding_id')
        .executeTakeFirst()
      return row && { ...finding, findingId: row.finding_id }
    },

    async update(tx, finding, due, nowMs = 0) {
      await within(tx)
        .updateTable('guard.finding')
        .set({ state: finding.state, sealed: seal(finding), ...(due && dues(due, nowMs)) })
        .where('finding_id', '=', finding.findingId)
        .execute()
    },

    async counts() {
      const { open: count, due } = await tables
        .selectFrom('guard.finding')
        .select((eb) => [
          eb.fn.countAll<number>().filterWhere('state', '=', 'open').as('open'),
          eb.fn
            .countAll<number>()
            .filterWhere(eb.or([eb('webhook_due', 'is not', null), eb('mail_due', 'is not', null)]))
            .as('due'),
        ])
        .executeTakeFirstOrThrow()
      return { open: count, unacknowledged: due }
    },
  }
}
