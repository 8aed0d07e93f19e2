import { sql } from 'kysely'
import { bigintArray, byteaArray, smallintArray, type Tx, uuidArray } from '../core/index.ts'
import type { AfterCommit, StreamRecord } from '../stream/index.ts'
import type { CommandRow } from './tables.ts'
import { KIND_CODE } from './tables.ts'

/** A batch whose effects are committed: `base + 1` is the timeline's seq of its first record. */
export interface Applied {
  base: number
  records: readonly StreamRecord[]
  /** Commands that ended by it. */
  ended: readonly CommandRow[]
}

export interface ProjectionDependencies {
  /** Ends commands by the devices' results, inside the reader's transaction. */
  applyResults: (tx: Tx, results: StreamRecord[]) => Promise<CommandRow[]>
  /** Inside the reader's transaction: for other processes. */
  applying: (tx: Tx) => Promise<void>
  /** Whether anybody wants to be told of a batch. */
  wanted: (records: readonly StreamRecord[]) => boolean
  /** After the commit, in order, each once; never after a rollback. */
  applied: (batch: Applied) => void
}

/**
 * Copies records, sealed as they are, into the timeline and the live state. Nothing is opened here: at full load this
 * shares two cores with everything else, so all rows of a batch go in three statements of binary arrays.
 */
export function createProjection(
  d: ProjectionDependencies,
): (tx: Tx, records: StreamRecord[]) => Promise<AfterCommit | undefined> {
  return async (tx, records) => {
    const results = records.filter((record) => record.kind === 'results')
    const ended = results.length > 0 ? await d.applyResults(tx, results) : []
    await upsertState(tx, records)
    const base = await insertTimeline(tx, records)
    await d.applying(tx)
    if (ended.length === 0 && !d.wanted(records)) return undefined
    return () => d.applied({ base, records, ended })
  }
}

/** Last: it locks the row that orders the timeline, until the commit. */
async function insertTimeline(tx: Tx, records: readonly StreamRecord[]): Promise<number> {
  const { rows } = await sql<{ base: number }>`
    with head as (
      update home.head set seq = seq + ${records.length}::bigint returning seq - ${records.length}::bigint as base
    ), put as (
      insert into home.timeline (tenure_id, seq, record_id, kind, sealed)
      select r.tenure_id, head.base + r.n, r.record_id, r.kind, r.sealed
      from head, unnest(
        ${uuidArray(records.map((r) => r.tenureId))}::uuid[],
        ${uuidArray(records.map((r) => r.recordId))}::uuid[],
        ${smallintArray(records.map((r) => KIND_CODE[r.kind]))}::smallint[],
        ${byteaArray(records.map((r) => r.sealed))}::bytea[]
      ) with ordinality as r (tenure_id, record_id, kind, sealed, n)
    )
    select base from head`.execute(tx)
  return (rows[0] as { base: number }).base
}

/** Of several records for one slot only the last is written. */
async function upsertState(tx: Tx, records: readonly StreamRecord[]): Promise<void> {
  const last = new Map<string, { record: StreamRecord; slot: Buffer }>()
  for (const record of records) {
    if (record.kind !== 'attributes' && record.kind !== 'availability') continue
    for (const slot of record.slots) last.set(record.tenureId + slot.toString('latin1'), { record, slot })
  }
  if (last.size === 0) return
  const rows = [...last.values()]
  await sql`
    insert into home.state as s (tenure_id, slot, seq, record_id, kind, sealed)
    select * from unnest(
      ${uuidArray(rows.map(({ record }) => record.tenureId))}::uuid[],
      ${byteaArray(rows.map(({ slot }) => slot))}::bytea[],
      ${bigintArray(rows.map(({ record }) => record.seq))}::bigint[],
      ${uuidArray(rows.map(({ record }) => record.recordId))}::uuid[],
      ${smallintArray(rows.map(({ record }) => KIND_CODE[record.kind]))}::smallint[],
      ${byteaArray(rows.map(({ record }) => record.sealed))}::bytea[]
    )
    on conflict (tenure_id, slot) do update set
      seq = excluded.seq, record_id = excluded.record_id, kind = excluded.kind, sealed = excluded.sealed
    where s.seq < excluded.seq`.execute(tx)
}
