import pg from 'pg'
import { AppError } from '../core/index.ts'
import { DATABASE, ROLE, SUPERUSER } from './settings.ts'

/** What `pg` wants to know; `host` is the directory of the Unix socket. */
export interface EmbeddedConnection {
  host: string
  port: number
  user: string
  database: string
  password: string
}

/**
 * Checks that the password opens the database; at the first start, makes the role and the database before.
 * @throws AppError root_key_refused when the cluster was made with another password
 */
export async function prepareDatabase(connection: EmbeddedConnection, clusterDir: string): Promise<void> {
  if (await opens(connection)) return
  const administrator = { ...connection, user: SUPERUSER, database: 'postgres' }
  if (!(await opens(administrator))) {
    throw new AppError('root_key_refused', {
      message: `The root key is not the one that the database in ${clusterDir} was made with. Put back the root key file that belongs to this data directory.`,
    })
  }
  const client = new pg.Client(administrator)
  await client.connect()
  try {
    const roles = await client.query('select from pg_roles where rolname = $1', [ROLE])
    if (roles.rowCount === 0) {
      await client.query(
        `create role ${ROLE} login createdb password ${pg.escapeLiteral(connection.password)}`,
      )
    }
    const databases = await client.query('select from pg_database where datname = $1', [DATABASE])
    if (databases.rowCount === 0) await client.query(`create database ${DATABASE} owner ${ROLE}`)
  } finally {
    await client.end()
  }
}

/** False when the role, its password or the database is not there: from outside, the first two look alike. */
async function opens(connection: EmbeddedConnection): Promise<boolean> {
  const client = new pg.Client(connection)
  try {
    await client.connect()
    return true
  } catch (error) {
    if (['28P01', '28000', '3D000'].includes((error as { code?: string }).code ?? '')) return false
    throw error
  } finally {
    await client.end().catch(() => {})
  }
}
