import { AppError, type Database, openDatabase, silentLog } from '../core/index.ts'
import { findRunningPostgres } from '../embedded/index.ts'
import { derivePurposeSecret, openKeyFile } from '../keys/index.ts'
import type { Config } from './config.ts'

export interface RunningDatabase {
  database: Database
  /** PostgreSQL's own process, where it is ours. */
  pid: number | undefined
  /** Where its files lie, as far as it says. */
  dataDirectory: string | undefined
}

/**
 * Into the database of an installation that runs, beside it.
 * @throws AppError unavailable when none runs there; root_key_refused
 */
export async function openRunningDatabase(config: Config): Promise<RunningDatabase> {
  const open = (connection: object) => openDatabase({ connection, maxConnections: 2, log: silentLog })
  if (config.databaseUrl) {
    const database = open({ connectionString: config.databaseUrl.reveal() })
    // Told to privileged roles only; where it is not, its files are not ours to read either.
    const dataDirectory = await database.pool.query<{ data_directory: string }>('show data_directory').then(
      ({ rows }) => rows[0]?.data_directory,
      () => undefined,
    )
    return { database, pid: undefined, dataDirectory }
  }
  const provider = await openKeyFile({ path: config.rootKeyFile, dataDir: config.dataDir, mayCreate: false })
  const password = derivePurposeSecret(provider, 'embedded.postgres')
  const running = await findRunningPostgres({ dataDir: config.dataDir, password })
  if (!running) {
    const message = `No Hearthlock runs on the data directory ${config.dataDir}. Start it first.`
    throw new AppError('unavailable', { message })
  }
  return { database: open(running.connection), pid: running.pid, dataDirectory: running.clusterDir }
}
