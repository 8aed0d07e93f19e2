import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Migrations, migrate } from '../../src/core/index.ts'
import { createTestDatabase } from '../support/database.ts'

describe('migrate', () => {
  let database: Awaited<ReturnType<typeof createTestDatabase>>
  let directory: string
  let room: Migrations

  beforeEach(async () => {
    database = await createTestDatabase()
    directory = await mkdtemp(join(tmpdir(), 'migrations-'))
    room = { room: 'attic', folder: pathToFileURL(`${directory}/`) }
    await writeFile(join(directory, '001-box.sql'), 'create table attic.box (id int primary key)')
  })

  afterEach(async () => {
    await database.drop()
    await rm(directory, { recursive: true })
  })

  it('applies each file once and in order', async () => {
    await writeFile(join(directory, '002-more.sql'), 'insert into attic.box values (1)')
    await migrate(database, [room])
    await migrate(database, [room])
    const { rows } = await database.pool.query('select id from attic.box')
    expect(rows).toEqual([{ id: 1 }])
  })

  it('two processes that start at once do not apply a file twice', async () => {
    await writeFile(join(directory, '002-more.sql'), 'insert into attic.box values (1)')
    await Promise.all([migrate(database, [room]), migrate(database, [room]), migrate(database, [room])])
    const { rows } = await database.pool.query('select count(*) as n from attic.box')
    expect(rows).toEqual([{ n: 1 }])
  })

  it('refuses a database that a newer version has written, and changes nothing', async () => {
    await migrate(database, [room])
    await database.pool.query(`insert into core.migration (room, file) values ('attic', '009-later.sql')`)
    await writeFile(join(directory, '002-more.sql'), 'insert into attic.box values (1)')
    await expect(migrate(database, [room])).rejects.toMatchObject({ code: 'database_newer' })
    const { rows } = await database.pool.query('select count(*) as n from attic.box')
    expect(rows).toEqual([{ n: 0 }])
  })

  it('a file that fails leaves the database as it was', async () => {
    await writeFile(join(directory, '002-broken.sql'), 'create table attic.shelf (id int); select 1/0')
    await expect(migrate(database, [room])).rejects.toThrow()
    const { rows } = await database.pool.query(`select to_regclass('attic.box') as box`)
    expect(rows).toEqual([{ box: null }])
  })
})
