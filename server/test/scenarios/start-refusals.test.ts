import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createInstallation, type Installation } from '../support/installation.ts'

/** Each refusal is one line that says what to do, an exit code that is not 0, and nothing left running. */
describe('start refuses', () => {
  let at: Installation

  beforeAll(async () => {
    at = await createInstallation()
    await at.start()
    await at.stop()
  }, 90_000)

  afterAll(() => at.dispose())

  async function refusal(env: NodeJS.ProcessEnv, ...args: string[]): Promise<string> {
    const result = await at.cli(['start', ...args], { env })
    expect(result.code).toBe(1)
    const lines = result.stderr.split('\n').filter((line) => line.startsWith('hearthlock: '))
    expect(lines).toHaveLength(1)
    return lines[0] ?? ''
  }

  it('a root key that others can read', async () => {
    await chmod(at.rootKeyFile, 0o644)
    expect(await refusal({})).toContain('chmod 600')
    await chmod(at.rootKeyFile, 0o600)
  })

  it('a root key inside the data directory', async () => {
    expect(await refusal({ HEARTHLOCK_ROOT_KEY_FILE: join(at.dataDir, 'root.key') })).toMatch(
      /inside the data directory/i,
    )
  })

  it('data without its root key: no new one is made over it', async () => {
    const missing = join(at.directory, 'elsewhere', 'root.key')
    expect(await refusal({ HEARTHLOCK_ROOT_KEY_FILE: missing })).toMatch(/root key/i)
  })

  it('another installation’s root key', async () => {
    const other = join(at.directory, 'other')
    await mkdir(other, { mode: 0o700 })
    const key = Buffer.alloc(32, 7).toString('base64url')
    const file = join(other, 'root.key')
    await writeFile(
      file,
      JSON.stringify({ format: 1, keys: [{ version: 1, secret: key, createdAt: '2026-01-01T00:00:00Z' }] }),
      {
        mode: 0o600,
      },
    )
    expect(await refusal({ HEARTHLOCK_ROOT_KEY_FILE: file })).toMatch(/root key/i)
    await rm(other, { recursive: true })
  })

  it.each([
    ['HTTP', 'HEARTHLOCK_HTTP_PORT'],
    ['MQTT', 'HEARTHLOCK_MQTT_PORT'],
    ['metrics', 'HEARTHLOCK_OPS_PORT'],
  ])('a port of %s that is taken', async (_what, key) => {
    const squatter = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => squatter.once('listening', resolve))
    const port = String((squatter.address() as { port: number }).port)
    const line = await refusal({ [key]: port })
    expect(line).toContain(port)
    expect(line).toContain(key)
    await new Promise((resolve) => squatter.close(resolve))
  })

  it('a configuration key that does not exist, and names the one that was meant', async () => {
    expect(await refusal({ HEARTHLOCK_HTP_PORT: '1' })).toContain('HEARTHLOCK_HTTP_PORT')
  })

  it('HTTP beyond loopback without TLS', async () => {
    expect(await refusal({ HEARTHLOCK_HTTP_HOST: '0.0.0.0' })).toContain('TLS')
  })

  it('a database of a newer version', async () => {
    const serverUrl = inject('postgresUrl')
    const name = `newer_${process.pid}`
    const admin = new pg.Client({ connectionString: serverUrl })
    await admin.connect()
    await admin.query(`create database ${name}`)
    const url = serverUrl.replace(/\/[^/?]*(\?|$)/, `/${name}$1`)
    const env = {
      HEARTHLOCK_DATABASE_URL: url,
      HEARTHLOCK_DATA_DIR: join(at.directory, 'data2'),
      HEARTHLOCK_ROOT_KEY_FILE: join(at.directory, 'keys2', 'root.key'),
    }
    try {
      const newer = new pg.Client({ connectionString: url })
      await newer.connect()
      await newer.query('create schema core')
      await newer.query(
        'create table core.migration (room text, file text, applied_at timestamptz default now(), primary key (room, file))',
      )
      await newer.query(`insert into core.migration (room, file) values ('keys', '999-later.sql')`)
      await newer.end()
      expect(await refusal(env)).toMatch(/newer version/)
    } finally {
      await admin.query(`drop database ${name} with (force)`)
      await admin.end()
    }
  })
})
