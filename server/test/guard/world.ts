import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type AccountId,
  type CopyId,
  type Log,
  newId,
  Secret,
  silentLog,
  type Tx,
} from '../../src/core/index.ts'
import {
  createGuard,
  type Feeds,
  type Guard,
  type GuardOptions,
  guardMigrations,
  type Observed,
} from '../../src/guard/index.ts'
import { createKeys, type Keys, keysMigrations, memoryKeyProvider } from '../../src/keys/index.ts'
import { createTestDatabase } from '../support/database.ts'

export const OFFICER = newId<AccountId>()
export const OPEN: Observed = { verdict: 'open', protocol: 'redis', evidence: '3 keys', product: 'Redis' }
export const SHUT: Observed = { verdict: 'protected', protocol: 'redis', evidence: 'asks for a password' }

export interface GuardWorld {
  database: Awaited<ReturnType<typeof createTestDatabase>>
  keys: Keys
  clock: { nowMs(): number; advance(seconds: number): void }
  /** How each address answers; what is not here asks for credentials. */
  answers: Map<string, Observed[]>
  looks: string[]
  feeds: TestFeeds
  letters: { to: AccountId; findingId: number }[]
  /** One process. It is not started. */
  guard(options?: Partial<GuardOptions>): Guard
  close(): Promise<void>
}

export interface TestFeeds extends Feeds {
  all: { copyId: CopyId; name: string; address: string; state: string }[]
}

export async function createGuardWorld(): Promise<GuardWorld> {
  const database = await createTestDatabase([keysMigrations, guardMigrations])
  await database.pool.query('create table public.cut (copy_id text, reason text)')
  let offsetMs = 0
  const clock = {
    nowMs: () => Date.now() + offsetMs,
    advance(seconds: number) {
      offsetMs += seconds * 1000
    },
  }
  const keys = createKeys({ database, clock, log: silentLog, provider: memoryKeyProvider() })
  await keys.start()
  const answers = new Map<string, Observed[]>()
  const looks: string[] = []
  const letters: GuardWorld['letters'] = []
  const feeds: TestFeeds = {
    all: [],
    async list() {
      const { rows } = await database.pool.query<{ copy_id: CopyId }>('select copy_id from public.cut')
      const cut = new Set(rows.map((row) => row.copy_id))
      return feeds.all.map((feed) => (cut.has(feed.copyId) ? { ...feed, state: 'cut' } : feed))
    },
    async cut(tx: Tx, copyId, reason) {
      const within = tx.withTables<{ 'public.cut': { copy_id: string; reason: string } }>()
      await within.insertInto('public.cut').values({ copy_id: copyId, reason }).execute()
    },
  }
  const guards: Guard[] = []
  return {
    database,
    keys,
    clock,
    answers,
    looks,
    feeds,
    letters,
    guard(options = {}) {
      const guard = createGuard({
        database,
        keys,
        clock,
        log: silentLog as Log,
        feeds,
        intervals: { fedMs: 50, otherMs: 100 },
        mail: {
          sends: () => true,
          securityOfficers: async () => [OFFICER],
          send: async (_tx, { to, finding }) => {
            letters.push({ to, findingId: finding.findingId })
          },
        },
        look: async ({ address }) => {
          looks.push(address)
          return answers.get(address) ?? [SHUT]
        },
        ...options,
      })
      guards.push(guard)
      return guard
    },
    async close() {
      for (const guard of guards) await guard.close()
      await keys.close()
      await database.drop()
    },
  }
}

/** Until it is so; the test's own time limit ends it. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(10)
}

export interface Call {
  path: string | undefined
  headers: IncomingHttpHeaders
  body: string
}

/** A real HTTP server on loopback that takes pages. */
export async function startReceiver(answer: (call: Call) => number = () => 204) {
  const calls: Call[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const call = { path: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() }
      calls.push(call)
      response.writeHead(answer(call), { location: '/elsewhere' }).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const secret = new Secret(`whsec_${randomBytes(32).toString('base64')}`)
  return {
    calls,
    secret,
    webhook: { url: new Secret(`http://127.0.0.1:${port}/pages`), secret },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
