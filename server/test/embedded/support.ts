import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { type Log, Secret, silentLog } from '../../src/core/index.ts'
import {
  createEmbeddedPostgres,
  type EmbeddedConnection,
  type EmbeddedPostgres,
} from '../../src/embedded/index.ts'

export const PASSWORD = 'marked-password'

/** A data directory that goes away when the test has ended, and all that ran on it with it. */
export async function temporaryDataDir(prefix = 'hearthlock-embedded-'): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), prefix))
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
  return dataDir
}

/** Makes one cluster for a test file; each call of the answer gives a data directory with a copy of it. */
export function clusterTemplate(): () => Promise<string> {
  let template: string
  beforeAll(async () => {
    template = await mkdtemp(join(tmpdir(), 'hearthlock-template-'))
    const embedded = createEmbeddedPostgres({
      dataDir: template,
      password: new Secret(PASSWORD),
      log: silentLog,
    })
    await embedded.start()
    await embedded.close()
  })
  afterAll(() => rm(template, { recursive: true, force: true }))
  return async () => {
    const dataDir = await temporaryDataDir()
    await promisify(execFile)('cp', ['-a', join(template, 'postgres'), dataDir])
    return dataDir
  }
}

export function embeddedOn(
  dataDir: string,
  o: { password?: string; log?: Log; onProgress?: (what: string) => void } = {},
): EmbeddedPostgres {
  const embedded = createEmbeddedPostgres({
    dataDir,
    password: new Secret(o.password ?? PASSWORD),
    log: o.log ?? silentLog,
    onProgress: o.onProgress,
  })
  onTestFinished(() => embedded.close())
  return embedded
}

export async function query(connection: EmbeddedConnection, text: string, values: unknown[] = []) {
  const client = new pg.Client(connection)
  // A server that is killed breaks the connection outside of any query as well.
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(text, values)).rows
  } finally {
    await client.end()
  }
}

/** Another process of ours that supervises a server on the directory, until it is killed. */
export async function supervisorProcess(dataDir: string) {
  const face = (room: string) => new URL(`../../src/${room}/index.ts`, import.meta.url).href
  const script = `
    const { createEmbeddedPostgres } = await import(${JSON.stringify(face('embedded'))})
    const { Secret, silentLog } = await import(${JSON.stringify(face('core'))})
    const password = new Secret(${JSON.stringify(PASSWORD)})
    const embedded = createEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)}, password, log: silentLog })
    const connection = await embedded.start()
    console.log(JSON.stringify({ pid: embedded.pid(), connection }))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const { pid, connection } = JSON.parse(line) as { pid: number; connection: EmbeddedConnection }
  onTestFinished(() => {
    child.kill('SIGKILL')
    if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  })
  return {
    postmasterPid: pid,
    connection,
    async kill() {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return process.platform !== 'linux'
  }
}

/** All text in the files of a folder and below. */
export function everythingIn(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('\n')
}
