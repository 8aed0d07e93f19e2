import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { inject } from 'vitest'
import { type Database, type Migrations, migrate, openDatabase, silentLog } from '../../src/core/index.ts'

/** A new, empty, real PostgreSQL database for one test file; `drop` ends it. */
export async function createTestDatabase(
  rooms: Migrations[] = [],
): Promise<Database & { url: string; drop(): Promise<void> }> {
  const serverUrl = inject('postgresUrl')
  const name = `test_${randomBytes(8).toString('hex')}`
  await administer(serverUrl, `create database ${name}`)
  const url = serverUrl.replace(/\/[^/?]*(\?|$)/, `/${name}$1`)
  const database = openDatabase({ connection: { connectionString: url }, log: silentLog })
  await migrate(database, rooms)
  return {
    ...database,
    url,
    async drop() {
      await database.close()
      await drop(serverUrl, name)
    },
  }
}

/** Tried again while PostgreSQL's own autovacuum works there: that is a process which our role may not end. */
async function drop(serverUrl: string, name: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await administer(serverUrl, `drop database ${name} with (force)`)
    } catch (error) {
      if ((error as { code?: string }).code !== '42501' || tries === 20) throw error
      await sleep(250)
    }
  }
}

async function administer(serverUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
