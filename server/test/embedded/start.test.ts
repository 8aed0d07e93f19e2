import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isAppError } from '../../src/core/index.ts'
import {
  clusterTemplate,
  embeddedOn,
  everythingIn,
  isAlive,
  PASSWORD,
  query,
  temporaryDataDir,
} from './support.ts'

const dataDirWithCluster = clusterTemplate()

describe('the first start', () => {
  it('creates a cluster that speaks UTF-8, checks its pages and loses nothing that was acknowledged', async () => {
    const progress: string[] = []
    const embedded = embeddedOn(await temporaryDataDir(), { onProgress: (what) => progress.push(what) })
    const connection = await embedded.start()
    expect(progress[0]).toBe('creating the database cluster')
    const names = [
      'server_encoding',
      'data_checksums',
      'fsync',
      'full_page_writes',
      'jit',
      'listen_addresses',
    ]
    const rows = await query(connection, 'select name, setting from pg_settings where name = any($1)', [
      names,
    ])
    expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
      server_encoding: 'UTF8',
      data_checksums: 'on',
      fsync: 'on',
      full_page_writes: 'on',
      jit: 'off',
      listen_addresses: '',
    })
    expect(embedded.stats()).toEqual({ embedded_database_up: 1, embedded_database_restarts: 0 })
  })

  it('gives us a role that reaches neither files nor programs of the machine', async () => {
    const connection = await embeddedOn(await dataDirWithCluster()).start()
    await expect(query(connection, "copy (select 1) to program 'true'")).rejects.toThrow('permission denied')
    await expect(query(connection, "select pg_read_file('PG_VERSION')")).rejects.toThrow('permission denied')
  })

  it('that was killed half-way is begun anew', async () => {
    const dataDir = await temporaryDataDir()
    mkdirSync(join(dataDir, 'postgres.creating'))
    writeFileSync(join(dataDir, 'postgres.creating', 'PG_VERSION'), '18')
    const connection = await embeddedOn(dataDir).start()
    expect(await query(connection, 'select 1 as one')).toEqual([{ one: 1 }])
    expect(existsSync(join(dataDir, 'postgres.creating'))).toBe(false)
  })
})

describe('a later start', () => {
  it('finds everything as it was', async () => {
    const dataDir = await dataDirWithCluster()
    const first = embeddedOn(dataDir)
    await query(await first.start(), 'create table kept as select 42 as value')
    await first.close()
    const progress: string[] = []
    const second = embeddedOn(dataDir, { onProgress: (what) => progress.push(what) })
    expect(await query(await second.start(), 'select value from kept')).toEqual([{ value: 42 }])
    expect(progress).toEqual(['starting the database server'])
  })

  it('with another root key is refused and leaves no server behind', async () => {
    const dataDir = await dataDirWithCluster()
    const first = embeddedOn(dataDir)
    await first.start()
    await first.close()
    const refused = await embeddedOn(dataDir, { password: 'another' })
      .start()
      .catch((error) => error)
    expect(isAppError(refused, 'root_key_refused')).toBe(true)
    expect(refused.message).toContain('root key')
    expect(existsSync(join(dataDir, 'postgres', 'postmaster.pid'))).toBe(false)
    await expect(embeddedOn(dataDir).start()).resolves.toMatchObject({ user: 'hearthlock' })
  })

  it('on a cluster of another PostgreSQL is refused', async () => {
    const dataDir = await temporaryDataDir()
    mkdirSync(join(dataDir, 'postgres'))
    writeFileSync(join(dataDir, 'postgres', 'PG_VERSION'), '99\n')
    await expect(embeddedOn(dataDir).start()).rejects.toMatchObject({ code: 'database_newer' })
    writeFileSync(join(dataDir, 'postgres', 'PG_VERSION'), '9\n')
    await expect(embeddedOn(dataDir).start()).rejects.toMatchObject({ code: 'start_refused' })
  })

  it('never makes a cluster over files that are there already', async () => {
    const dataDir = await temporaryDataDir()
    mkdirSync(join(dataDir, 'postgres'))
    writeFileSync(join(dataDir, 'postgres', 'precious'), 'x')
    await expect(embeddedOn(dataDir).start()).rejects.toMatchObject({ code: 'start_refused' })
    expect(readdirSync(join(dataDir, 'postgres'))).toEqual(['precious'])
  })
})

describe('access', () => {
  it('is refused without the password, for every role', async () => {
    const connection = await embeddedOn(await dataDirWithCluster()).start()
    for (const user of [connection.user, 'postgres']) {
      await expect(query({ ...connection, user, password: 'wrong' }, 'select 1')).rejects.toMatchObject({
        code: '28P01',
      })
    }
  })

  it('is not loosened by what stands in the cluster', async () => {
    const dataDir = await dataDirWithCluster()
    const first = embeddedOn(dataDir)
    const administrator = { ...(await first.start()), user: 'postgres' }
    await query(administrator, "alter system set listen_addresses = '127.0.0.1'")
    await query(administrator, "alter system set log_statement = 'all'")
    await first.close()
    writeFileSync(join(dataDir, 'postgres', 'pg_hba.conf'), 'local all all trust\n')
    const connection = await embeddedOn(dataDir).start()
    await expect(query({ ...connection, password: 'wrong' }, 'select 1')).rejects.toThrow()
    expect(await query(connection, 'show listen_addresses')).toEqual([{ listen_addresses: '' }])
    expect(await query(connection, 'show log_statement')).toEqual([{ log_statement: 'none' }])
  })

  it('goes through a directory that only its owner may enter', async () => {
    const { host } = await embeddedOn(await dataDirWithCluster()).start()
    expect(statSync(host).mode & 0o777).toBe(0o700)
  })

  it("of PostgreSQL's own user through a closed directory is refused by name, where we are root", async () => {
    const parent = await temporaryDataDir()
    chmodSync(parent, 0o700)
    const started = embeddedOn(join(parent, 'data')).start()
    if (process.getuid?.() === 0) await expect(started).rejects.toThrow(`cannot get through ${parent}`)
    else await expect(started).resolves.toBeDefined()
  })

  it('works where the path of the data directory is too long for a socket, and cleans up after it', async () => {
    const parent = await temporaryDataDir()
    chmodSync(parent, 0o711)
    const dataDir = join(parent, 'x'.repeat(120))
    const embedded = embeddedOn(dataDir)
    const connection = await embedded.start()
    expect(connection.host.startsWith(dataDir)).toBe(false)
    expect(statSync(connection.host).mode & 0o777).toBe(0o700)
    expect(await query(connection, 'select 1 as one')).toEqual([{ one: 1 }])
    await embedded.close()
    expect(existsSync(connection.host)).toBe(false)
  })
})

describe('the end', () => {
  it('is orderly: the server is gone and needs no recovery', async () => {
    const dataDir = await dataDirWithCluster()
    const embedded = embeddedOn(dataDir)
    await embedded.start()
    const pid = embedded.pid() as number
    await embedded.close()
    expect(isAlive(pid)).toBe(false)
    expect(readFileSync(join(dataDir, 'logs', 'postgres.log'), 'utf8')).toContain(
      'database system is shut down',
    )
  })
})

describe('at rest', () => {
  it('the password stands nowhere in clear', async () => {
    const dataDir = await dataDirWithCluster()
    const embedded = embeddedOn(dataDir)
    const connection = await embedded.start()
    expect(connection.password).toBe(PASSWORD)
    await embedded.close()
    expect(everythingIn(dataDir)).not.toContain(PASSWORD)
  })
})
