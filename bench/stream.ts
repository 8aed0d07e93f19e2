/**
 * Durable, sealed appends to the stream beside single-row INSERTs with the pg driver, on the same server in one run.
 *
 *   HEARTHLOCK_TEST_DATABASE_URL=postgres://… node bench/stream.ts [seconds per figure]
 *
 * Makes a database of its own on that server, and drops it. Trust the ratios; figures need a machine at rest.
 */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import {
  type Database,
  type DeviceId,
  migrate,
  newId,
  openDatabase,
  silentLog,
  systemClock,
  type TenureId,
} from '../server/src/core/index.ts'
import { createKeys, keysMigrations, memoryKeyProvider } from '../server/src/keys/index.ts'
import { createStream, type StreamWriter, streamMigrations } from '../server/src/stream/index.ts'
import { percentile } from './support/table.ts'

const TENURES = 2_000
const PAYLOAD = Buffer.from(
  '{"OnOff.OnOff":true,"LevelControl.CurrentLevel":128,"$at":"2026-01-01T00:00:00.000Z"}',
)
const PATHS = ['1/OnOff.OnOff', '1/LevelControl.CurrentLevel']

interface Figure {
  perSecond: number
  p50Ms: number
  p99Ms: number
}

const seconds = Number(process.argv[2] ?? 3)
const serverUrl = process.env.HEARTHLOCK_TEST_DATABASE_URL
if (!serverUrl) throw new Error('HEARTHLOCK_TEST_DATABASE_URL must name a PostgreSQL server')

await withDatabase(serverUrl, async (database, url) => {
  const keys = createKeys({ provider: memoryKeyProvider(), database, clock: systemClock, log: silentLog })
  await keys.start()
  const stream = createStream({ database, keys, clock: systemClock, log: silentLog })
  await stream.start()

  const writers: StreamWriter[] = []
  const keyIds = await database.transaction(async (tx) => {
    const made = []
    for (let i = 0; i < TENURES; i++) made.push(await keys.create(tx, { kind: 'tenure', subject: newId() }))
    return made
  })
  for (const keyId of keyIds) {
    writers.push(await stream.writer({ tenureId: newId<TenureId>(), deviceId: newId<DeviceId>(), keyId }))
  }
  let turn = 0
  const append = () =>
    (writers[turn++ % TENURES] as StreamWriter).append({ kind: 'attributes', payload: PAYLOAD, paths: PATHS })

  console.log(
    `node ${process.version}, ${TENURES} tenures, ${PAYLOAD.length}-byte payloads, ${seconds} s each\n`,
  )
  row('', 'per second', 'p50 ms', 'p99 ms', 'ratio')
  await measure(500, 1_000, append)

  const rows = new Map<number, Figure>()
  for (const clients of [1, 16]) {
    const figure = await singleRows(url, clients)
    rows.set(clients, figure)
    print(`single-row INSERT, ${clients} connection${clients > 1 ? 's' : ''}`, figure)
  }
  for (const inFlight of [1, 16, 200, 2_000, 10_000]) {
    const figure = await measure(inFlight, seconds * 1_000, append)
    const peer = rows.get(inFlight) ?? rows.get(16)
    print(`append, ${inFlight} in flight`, figure, peer)
  }

  let read = 0
  const reader = stream.reader('bench', async (_, records) => {
    read += records.length
  })
  const stored = stream.stats().stream_head ?? 0
  const behindMs = performance.now()
  await reader.start()
  while (reader.position < stored) await new Promise((resolve) => setTimeout(resolve, 5))
  const backlog = read / ((performance.now() - behindMs) / 1_000)
  print('reader, from the table', { perSecond: backlog, p50Ms: Number.NaN, p99Ms: Number.NaN })
  for (const inFlight of [1, 2_000]) {
    const before = read
    const figure = await measure(inFlight, seconds * 1_000, append)
    print(`append, ${inFlight} in flight, with a reader`, figure, rows.get(inFlight) ?? rows.get(16))
    const share = Math.round(((read - before) / (figure.perSecond * seconds)) * 100)
    console.log(`  the reader kept up with ${Math.min(100, share)} %`)
  }
  await stream.close()
  await keys.close()
})

async function measure(inFlight: number, durationMs: number, act: () => Promise<unknown>): Promise<Figure> {
  const latencies: number[] = []
  const startMs = performance.now()
  const endMs = startMs + durationMs
  const lane = async () => {
    for (;;) {
      const beforeMs = performance.now()
      if (beforeMs >= endMs) return
      await act()
      latencies.push(performance.now() - beforeMs)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
  const elapsedMs = performance.now() - startMs
  return {
    perSecond: (latencies.length / elapsedMs) * 1_000,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
  }
}

/** What most servers do: one prepared INSERT per event, here without a seal. */
async function singleRows(url: string, connections: number): Promise<Figure> {
  const clients = await Promise.all(
    Array.from({ length: connections }, async () => {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      return client
    }),
  )
  await clients[0]?.query(`create table if not exists event (id bigserial primary key, device_id uuid not null,
    at timestamptz not null default now(), payload bytea not null)`)
  const device = newId<DeviceId>()
  const free = [...clients]
  const figure = await measure(connections, seconds * 1_000, async () => {
    const client = free.pop() as pg.Client
    await client.query({
      name: 'event',
      text: 'insert into event (device_id, payload) values ($1, $2)',
      values: [device, PAYLOAD],
    })
    free.push(client)
  })
  await Promise.all(clients.map((client) => client.end()))
  return figure
}

async function withDatabase(server: string, work: (database: Database, url: string) => Promise<void>) {
  const name = `bench_${randomBytes(6).toString('hex')}`
  const admin = new pg.Client({ connectionString: server })
  await admin.connect()
  await admin.query(`create database ${name}`)
  const url = server.replace(/\/[^/?]*(\?|$)/, `/${name}$1`)
  const database = openDatabase({ connection: { connectionString: url }, log: silentLog })
  try {
    await migrate(database, [keysMigrations, streamMigrations])
    await work(database, url)
  } finally {
    await database.close()
    await admin.query(`drop database ${name} with (force)`)
    await admin.end()
  }
}

function print(what: string, figure: Figure, peer?: Figure): void {
  const ms = (value: number) => (Number.isNaN(value) ? '' : value.toFixed(2))
  const ratio = peer ? `${(figure.perSecond / peer.perSecond).toFixed(1)}x` : ''
  row(what, Math.round(figure.perSecond).toLocaleString('en'), ms(figure.p50Ms), ms(figure.p99Ms), ratio)
}

function row(what: string, ...cells: string[]): void {
  console.log(what.padEnd(40) + cells.map((cell) => cell.padStart(12)).join(''))
}
