import { Kysely, PostgresDialect, type Transaction } from 'kysely'
import pg from 'pg'
import type { Log } from './log.ts'

/** Queries without tables; a room names its own with `.withTables<RoomTables>()`. */
export type Queries = Kysely<object>
export type Tx = Transaction<object>

export interface Database {
  readonly queries: Queries
  /** For the hot paths that write PostgreSQL's binary format themselves. */
  readonly pool: pg.Pool
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export interface DatabaseOptions {
  connection: pg.PoolConfig
  maxConnections?: number
  log: Log
}

// bigint columns are sequence numbers and milliseconds: all below 2^53.
pg.types.setTypeParser(pg.types.builtins.INT8, Number)

export function openDatabase({ connection, maxConnections = 12, log }: DatabaseOptions): Database {
  const pool = new pg.Pool({ application_name: 'hearthlock', ...connection, max: maxConnections })
  // An idle connection that breaks (server restart) is replaced at next use; without a listener it would end the process.
  pool.on('error', (error) => log.warn('an idle database connection broke', { error }))
  // The same for one in use: the query or the next one rejects, which is where it is handled.
  pool.on('connect', (client) => {
    client.on('error', (error) => log.warn('a database connection broke', { error }))
  })
  const queries = new Kysely<object>({ dialect: new PostgresDialect({ pool }) })
  return {
    queries,
    pool,
    transaction: (work) => queries.transaction().execute(work),
    close: () => queries.destroy(),
  }
}
