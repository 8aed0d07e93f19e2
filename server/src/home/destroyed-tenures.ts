import { sql } from 'kysely'
import { type Clock, type Database, type TenureId, type Tx, uuidArray } from '../core/index.ts'
import type { HomeTables } from './tables.ts'

const HOUR_MS = 3_600_000
/** How far the reader of the stream may be behind, and nothing is left all the same. */
const REMEMBERED_MS = 7 * 24 * HOUR_MS
const SWEEP_EVERY_MS = 60_000

/**
 * Takes away every row of a tenure whose history is destroyed. The caller has locked the tenure's commands: there will
 * be none after.
 */
export async function destroyRows(plainTx: Tx, tenureId: TenureId, nowMs: number): Promise<void> {
  const tx = plainTx.withTables<HomeTables>()
  for (const table of ['home.command', 'home.state', 'home.timeline'] as const) {
    await tx.deleteFrom(table).where('tenure_id', '=', tenureId).execute()
  }
  await tx
    .insertInto('home.destroyed_tenure')
    .values({ tenure_id: tenureId, destroyed_hour: new Date(nowMs - (nowMs % HOUR_MS)) })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/**
 * Records that were in the stream when their tenure's history was destroyed are applied after it. Asking about each of
 * them would cost every record something; their rows, which open nowhere, are taken away a minute later instead.
 */
export function createLateRowsSweep(d: { database: Database; clock: Clock }): () => Promise<void> {
  let sweptAtMs = 0

  return async () => {
    const nowMs = d.clock.nowMs()
    if (nowMs - sweptAtMs < SWEEP_EVERY_MS) return
    sweptAtMs = nowMs
    const tables = d.database.queries.withTables<HomeTables>()
    const destroyed = await tables.selectFrom('home.destroyed_tenure').select('tenure_id').execute()
    if (destroyed.length === 0) return
    // An array and no subquery: each is looked up by the index, in tables that may be large.
    const tenureIds = uuidArray(destroyed.map((row) => row.tenure_id))
    for (const table of ['home.state', 'home.timeline'] as const) {
      await tables
        .deleteFrom(table)
        .where('tenure_id', '=', sql<TenureId>`any(${tenureIds}::uuid[])`)
        .execute()
    }
    await tables
      .deleteFrom('home.destroyed_tenure')
      .where('destroyed_hour', '<', new Date(nowMs - REMEMBERED_MS))
      .execute()
  }
}
