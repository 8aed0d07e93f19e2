import { sql } from 'kysely'
import type { Database } from '../../src/core/index.ts'
import type { RecordHandler } from '../../src/stream/index.ts'

/** A handler's effects, kept where they can't hide a double: no unique index. */
export async function createEffects(database: Database): Promise<void> {
  await sql`create table public.effect (reader text not null, seq bigint not null, record_id uuid not null,
    process text not null, at bigserial)`.execute(database.queries)
}

export function recordEffects(reader: string, process = ''): RecordHandler {
  return async (tx, records) => {
    await sql`insert into public.effect (reader, seq, record_id, process)
      select ${reader}, seq, record_id, ${process}
      from unnest(${records.map((r) => r.seq)}::bigint[], ${records.map((r) => r.recordId)}::uuid[])
        as t (seq, record_id)`.execute(tx)
  }
}

/** `seq`s in the order in which the reader applied them. */
export async function effects(database: Database, reader: string): Promise<number[]> {
  const { rows } = await sql<{
    seq: number
  }>`select seq from public.effect where reader = ${reader} order by at`.execute(database.queries)
  return rows.map(({ seq }) => seq)
}
