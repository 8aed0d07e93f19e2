import { readdir, readFile } from 'node:fs/promises'
import type pg from 'pg'
import type { Database } from './database.ts'
import { AppError } from './errors.ts'

/** A room's numbered migrations: `NNN-what.sql` in a folder, applied in order, each once, in the room's own schema. */
export interface Migrations {
  room: string
  folder: URL
}

// Any constant: two processes that start at once take turns.
const MIGRATION_LOCK = 7_201_934

/**
 * Brings the database up to this version, in one transaction.
 * @throws AppError database_newer when it holds a migration that this version does not know
 */
export async function migrate(
  database: Database,
  rooms: Migrations[],
  onProgress: (room: string, file: string) => void = () => {},
): Promise<void> {
  const client = await database.pool.connect()
  try {
    await client.query('begin')
    await client.query('select pg_advisory_xact_lock($1)', [MIGRATION_LOCK])
    await client.query('create schema if not exists core')
    await client.query(`create table if not exists core.migration (
      room text not null, file text not null, applied_at timestamptz not null default now(), primary key (room, file))`)
    for (const room of rooms) await migrateRoom(client, room, onProgress)
    await client.query('commit')
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw error
  } finally {
    client.release()
  }
}

async function migrateRoom(
  client: pg.PoolClient,
  { room, folder }: Migrations,
  onProgress: (room: string, file: string) => void,
): Promise<void> {
  const known = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  const applied = await client.query<{ file: string }>('select file from core.migration where room = $1', [
    room,
  ])
  const done = new Set(applied.rows.map((row) => row.file))
  const unknown = [...done].filter((file) => !known.includes(file)).sort()
  if (unknown.length > 0) {
    throw new AppError('database_newer', {
      message: `The database was written by a newer version of Hearthlock (${room}: ${unknown.join(', ')}). Start that version or a later one.`,
    })
  }
  await client.query(`create schema if not exists ${room}`)
  for (const file of known.filter((name) => !done.has(name))) {
    onProgress(room, file)
    await client.query(await readFile(new URL(file, folder), 'utf8'))
    await client.query('insert into core.migration (room, file) values ($1, $2)', [room, file])
  }
}
