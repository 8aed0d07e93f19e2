import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Database, openDatabase, silentLog } from '../../src/core/index.ts'
import { createTestDatabase } from '../support/database.ts'

describe('statements that are prepared', () => {
  let home: Awaited<ReturnType<typeof createTestDatabase>>
  let database: Database

  beforeAll(async () => {
    home = await createTestDatabase()
    database = openDatabase({
      connection: { connectionString: home.url },
      maxConnections: 1,
      log: silentLog,
    })
    await database.pool.query('create table box (id int); insert into box values (1)')
  })
  afterAll(async () => {
    await database.close()
    await home.drop()
  })

  const read = () => sql`select * from box where id = ${1}`.execute(database.queries)
  const prepared = async () => {
    const { rows } = await database.pool.query<{ count: number }>(
      'select count(*) from pg_prepared_statements',
    )
    return rows[0]?.count
  }

  it('are prepared once for a connection', async () => {
    for (let times = 0; times < 3; times += 1) expect((await read()).rows).toEqual([{ id: 1 }])
    expect(await prepared()).toBe(1)
  })

  it('are bounded in number, and go on beyond', async () => {
    for (let column = 0; column < 400; column += 1) {
      const { rows } = await sql`select ${1}::int as ${sql.id(`c${column}`)}`.execute(database.queries)
      expect(rows).toEqual([{ [`c${column}`]: 1 }])
    }
    expect(await prepared()).toBe(300)
  })

  it('fail once at most when a migration changes what they read', async () => {
    await database.pool.query('alter table box add column lid text')
    await expect(read()).rejects.toMatchObject({ code: '0A000' })
    expect((await read()).rows).toEqual([{ id: 1, lid: null }])
  })
})
