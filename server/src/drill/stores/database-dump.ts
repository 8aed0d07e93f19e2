import type { Database } from '../../core/index.ts'
import type { Dump, DumpedRow } from './dump.ts'

const ROWS_AT_A_TIME = 1_000
/** What PostgreSQL notes of the rows by itself: samples of values, and the statements that run. */
const NOTES = {
  pg_stats: `select to_jsonb(s) as row from pg_stats s where schemaname not in ('pg_catalog', 'information_schema')`,
  pg_stat_activity: `select to_jsonb(a) - 'client_addr' as row from pg_stat_activity a`,
}

/** Everything that whoever may read this database gets from it by statements, in one read-only snapshot. */
export function databaseDump({ pool }: Database): Dump {
  return async function* () {
    const client = await pool.connect()
    try {
      await client.query('begin isolation level repeatable read read only')
      const { rows: tables } = await client.query<{ name: string }>(
        `select format('%I.%I', n.nspname, c.relname) as name
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where c.relkind in ('r', 'm', 'p') and not c.relispartition
            and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
            and has_table_privilege(c.oid, 'select')
          order by 1`,
      )
      for (const { name } of tables) yield* rowsOf(client, name, `select to_jsonb(t) as row from ${name} t`)
      for (const [name, query] of Object.entries(NOTES)) yield* rowsOf(client, name, query)
    } finally {
      await client.query('rollback').catch(() => {})
      client.release()
    }
  }
}

interface Queryable {
  query<T extends object>(text: string): Promise<{ rows: T[] }>
}

async function* rowsOf(client: Queryable, table: string, query: string): AsyncGenerator<DumpedRow> {
  await client.query(`declare dumped no scroll cursor for ${query}`)
  for (;;) {
    const { rows } = await client.query<{ row: Record<string, unknown> }>(
      `fetch ${ROWS_AT_A_TIME} from dumped`,
    )
    for (const { row } of rows) yield { table, fields: row }
    if (rows.length < ROWS_AT_A_TIME) break
  }
  await client.query('close dumped')
}
