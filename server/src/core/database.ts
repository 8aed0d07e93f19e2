import { Kysely, PostgresDialect, type Transaction } from 'kysely'
import pg from 'pg'
import type { Log } from './log.ts'
import { preparingPool } from './prepared-statements.ts'

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
  // Without a listener a broken connection would end the process. An idle one is replaced at its next use; one in use
  // rejects its query, which is where it is handled. Once closing, the server may be gone before the last good-bye.
  let closing = false
  const onBroken = (error: Error) => {
    if (!closing) log.warn('a database connection broke', { error })
  }
  pool.on('error', onBroken)
  pool.on('connect', (client) => client.on('error', onBroken))
  const queries = new Kysely<object>({ dialect: new PostgresDialect({ pool: preparingPool(pool) }) })
  return {
    queries,
    pool,
    transaction: (work) => queries.transaction().execute(work),
    close() {
      closing = true
      return queries.destroy()
    },
  }
}
