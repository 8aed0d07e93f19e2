import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { createLog } from '../../src/core/index.ts'
import { openServerLog } from '../../src/embedded/server-log.ts'
import { embeddedOn, everythingIn, query, temporaryDataDir } from './support.ts'

it('no value of a statement reaches any log, whatever goes wrong with it', async () => {
  const dataDir = await temporaryDataDir()
  const lines: string[] = []
  const log = createLog({ level: 'debug', destination: { write: (line) => lines.push(line) } })
  const embedded = embeddedOn(dataDir, { log, onProgress: (what) => lines.push(what) })
  const connection = await embedded.start()
  await query(connection, 'create table person (email text unique check (length(email) < 40))')
  await query(connection, 'insert into person values ($1)', ['marked@example.com'])
  const refused: [string, unknown[]][] = [
    ['insert into person values ($1)', ['marked@example.com']],
    ['insert into person values ($1)', [`marked@${'x'.repeat(50)}`]],
    ["insert into person values ('marked@example.com')", []],
    ['selec marked_word from person', []],
    ['select $1::uuid', ['marked-uuid']],
    ["select 'marked-number'::int", []],
    ['select marked_column from person', []],
    ["do $$ begin raise exception 'marked exception'; end $$", []],
    ["do $$ begin raise warning 'marked warning'; end $$", []],
    ["do $$ begin raise log 'is written, being no value'; end $$", []],
  ]
  for (const [text, values] of refused) await query(connection, text, values).catch(() => {})
  // A backend that is killed makes the server tell what it was running.
  const sleeping = query(connection, "select pg_sleep(60), 'marked-running'").catch(() => {})
  const [backend] = await vi.waitFor(async () => {
    const rows = await query(
      connection,
      "select pid from pg_stat_activity where query like '%marked-runn%' and pid <> pg_backend_pid()",
    )
    expect(rows).toHaveLength(1)
    return rows as [{ pid: number }]
  })
  process.kill(backend.pid, 'SIGKILL')
  await sleeping
  await vi.waitFor(() => query(connection, 'select 1'), { timeout: 20_000, interval: 100 })
  await embedded.close()
  const written = everythingIn(join(dataDir, 'logs')) + lines.join('\n')
  expect(written).toContain('is written, being no value')
  expect(written).toContain('was terminated by signal 9')
  expect(written).not.toMatch(/marked/i)
})

it("the database's log is bounded and for its owner only", async () => {
  const folder = join(await temporaryDataDir(), 'logs')
  const serverLog = openServerLog(folder, 1000)
  for (let line = 0; line < 500; line++) serverLog.write(`line ${line} ${'x'.repeat(line)}`)
  expect(statSync(serverLog.path).size).toBeLessThanOrEqual(1000)
  expect(statSync(`${serverLog.path}.1`).size).toBeLessThanOrEqual(1000)
  expect(statSync(serverLog.path).mode & 0o077).toBe(0)
  expect(readFileSync(serverLog.path, 'utf8')).toContain('line 499')
  expect(existsSync(`${serverLog.path}.2`)).toBe(false)
})
