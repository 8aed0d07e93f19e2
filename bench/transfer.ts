/**
 * From the commit that ends a tenure to the moment when the last path of the former household is closed: the device's
 * MQTT session, every live stream, the HTTP view, and commands. The commit is a transaction of this program, so that no
 * server has a shorter way to learn of it than another.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import mqtt, { type MqttClient } from 'mqtt'
import type { Client } from '../server/src/client/index.ts'
import { createLog, openDatabase, Secret, silentLog, systemClock } from '../server/src/core/index.ts'
import { createEmbeddedPostgres } from '../server/src/embedded/index.ts'
import { createKeys, openKeyFile } from '../server/src/keys/index.ts'
import { createRegistry } from '../server/src/registry/index.ts'
import { enrolOperator, newCustomer, type OperatorPasskey } from './support/customers.ts'
import { type FleetDevice, freePorts, makeBulbs, until } from './support/fleet.ts'
import { percentile, printTable } from './support/table.ts'

const BIN = fileURLToPath(new URL('../server/bin/hearthlock.js', import.meta.url))
const SAMPLES = Number(process.env.BENCH_SAMPLES ?? 50)
const MANY = Number(process.env.BENCH_STREAMS ?? 1_000)
const STREAMS_PER_ACCOUNT = 16
let operator: OperatorPasskey | undefined
let people = 0

interface Nodes {
  apiUrl: string
  mqttUrl: string
  stop(): Promise<void>
}

const directory = await mkdtemp(join(tmpdir(), 'hearthlock-bench-'))
await chmod(directory, 0o711)
const password = new Secret('bench')
const postgres = createEmbeddedPostgres({
  dataDir: join(directory, 'data'),
  password,
  log: createLog({ level: 'warn' }),
})
const connection = await postgres.start()
const databaseUrl = `postgres://${connection.user}:${password.reveal()}@/${connection.database}?host=${encodeURIComponent(connection.host)}`
const database = openDatabase({ connection: { connectionString: databaseUrl }, log: silentLog })
comeFromManyAddresses()
try {
  const rows: Record<string, string | number>[] = []
  for (const roles of [['all'], ['api', 'gateway']])
    for (const streams of [1, MANY]) {
      const samples = await measure(roles, streams)
      rows.push({
        processes: roles.join(' + '),
        'open streams': streams,
        'p50 ms': percentile(samples, 0.5),
        'p99 ms': percentile(samples, 0.99),
        'max ms': Math.max(...samples),
      })
    }
  printTable(
    `end of a tenure: commit → last path closed, ${SAMPLES} times each (budget: p99 below 100 ms on one node)`,
    rows,
  )
} finally {
  await database.close()
  await postgres.close()
  await rm(directory, { recursive: true, force: true })
}

async function measure(roles: string[], streams: number): Promise<number[]> {
  const nodes = await startNodes(roles)
  const stop = new AbortController()
  try {
    const owner = await person(nodes.apiUrl)
    const { householdId } = await owner.request<{ householdId: string }>('POST', '/v1/households', {
      body: { name: 'Bench' },
    })
    const told = new Set<() => void>()
    await watch(nodes.apiUrl, owner, householdId, streams, stop.signal, told)
    const samples: number[] = []
    for (const bulb of await bulbs(SAMPLES))
      samples.push(await endOne(nodes, owner, householdId, bulb, streams, told))
    return samples
  } finally {
    stop.abort()
    await nodes.stop()
  }
}

/** One device comes into the household and leaves it again; the time from its leaving until the last path is closed. */
async function endOne(
  nodes: Nodes,
  owner: Client,
  householdId: string,
  bulb: FleetDevice,
  streams: number,
  told: Set<() => void>,
): Promise<number> {
  const device = await connect(nodes.mqttUrl, bulb)
  const came = allTold(told, streams)
  await owner.request('POST', `/v1/households/${householdId}/claims`, { body: { code: bulb.claimCode } })
  await came
  const path = `/v1/devices/${bulb.deviceId}`
  await owner.request('GET', path)
  const command = { command: 'OnOff.Toggle', arguments: {} }
  const left = [new Promise<void>((resolve) => device.once('close', () => resolve())), allTold(told, streams)]
  await database.pool.query(
    'update registry.tenure set ended_hour = started_hour where device_id = $1 and ended_hour is null',
    [bulb.deviceId],
  )
  const committedMs = performance.now()
  await Promise.all([
    ...left,
    closed(() => owner.request('GET', path)),
    closed(() => owner.request('POST', `${path}/commands`, { body: command })),
  ])
  const tookMs = performance.now() - committedMs
  device.end(true)
  return tookMs
}

async function closed(act: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await act()
    } catch (error) {
      if ((error as { code?: string }).code === 'not_found') return
      throw error
    }
  }
}

/** Resolves when that many streams have said that something came or went. */
function allTold(told: Set<() => void>, streams: number): Promise<void> {
  return new Promise((resolve) => {
    let left = streams
    const one = () => {
      left -= 1
      if (left > 0) return
      told.delete(one)
      resolve()
    }
    told.add(one)
  })
}

/** As many live streams of one household as asked for, each account holding no more than it may. */
async function watch(
  url: string,
  owner: Client,
  householdId: string,
  streams: number,
  signal: AbortSignal,
  told: Set<() => void>,
): Promise<void> {
  let watcher = owner
  for (let open = 0; open < streams; open += 1) {
    if (open > 0 && open % STREAMS_PER_ACCOUNT === 0) {
      watcher = await person(url)
      const { accountId } = await watcher.request<{ accountId: string }>('GET', '/v1/me')
      await database.pool.query(
        `insert into registry.member (household_id, account_id, role) values ($1, $2, 'adult')`,
        [householdId, accountId],
      )
    }
    let ready = false
    await new Promise<void>((resolve, reject) => {
      const onReady = () => {
        if (ready) for (const one of [...told]) one()
        ready = true
        resolve()
      }
      watcher.live(householdId, () => {}, signal, { onReady }).catch(reject)
    })
  }
}

async function connect(url: string, { deviceId, password: secret }: FleetDevice): Promise<MqttClient> {
  return mqtt.connectAsync(url, {
    protocolVersion: 5,
    clientId: deviceId,
    username: deviceId,
    password: secret,
    reconnectPeriod: 0,
  })
}

async function person(url: string): Promise<Client> {
  people += 1
  if (!operator) throw new Error('no operator has enrolled')
  return await newCustomer(url, operator, `bench-${people}@example.org`)
}

/** Through the rooms: provisioning is not what is measured. */
async function bulbs(count: number): Promise<FleetDevice[]> {
  const common = { database, clock: systemClock, log: silentLog }
  const provider = await openKeyFile({
    path: join(directory, 'keys', 'root.key'),
    dataDir: join(directory, 'data'),
    mayCreate: false,
  })
  const keys = createKeys({ ...common, provider })
  await keys.start()
  const registry = createRegistry({ ...common, keys, isOnline: () => true })
  await registry.start()
  try {
    return await makeBulbs(registry, count)
  } finally {
    await registry.close()
    await keys.close()
  }
}

async function startNodes(roles: string[]): Promise<Nodes> {
  const children: ChildProcess[] = []
  const ports = { http: 0, mqtt: 0 }
  for (const role of roles) {
    const [http, tls, plain, ops] = (await freePorts(4)) as [number, number, number, number]
    if (role !== 'gateway') ports.http = http
    if (role !== 'api') ports.mqtt = plain
    const child = spawn(process.execPath, [BIN, 'start', '--role', role], {
      env: {
        PATH: process.env.PATH,
        HOME: directory,
        HEARTHLOCK_DATA_DIR: join(directory, 'servers'),
        HEARTHLOCK_DATABASE_URL: databaseUrl,
        HEARTHLOCK_ROOT_KEY_FILE: join(directory, 'keys', 'root.key'),
        HEARTHLOCK_HTTP_PORT: String(http),
        HEARTHLOCK_MQTT_PORT: String(tls),
        HEARTHLOCK_MQTT_PLAIN_PORT: String(plain),
        HEARTHLOCK_OPS_PORT: String(ops),
        HEARTHLOCK_TRUSTED_PROXIES: '127.0.0.1,::1',
        HEARTHLOCK_LOG_LEVEL: 'warn',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(child)
    const printed = await until(child, 'Ctrl-C stops it')
    if (ports.http) operator ??= await enrolOperator(`http://localhost:${ports.http}`, printed)
  }
  return {
    apiUrl: `http://localhost:${ports.http}`,
    mqttUrl: `mqtt://127.0.0.1:${ports.mqtt}`,
    async stop() {
      for (const child of children) {
        const exited = once(child, 'exit')
        child.kill('SIGINT')
        await exited
      }
    },
  }
}

/** As requests look that come through a balancer: the limits for one address are not what is measured. */
function comeFromManyAddresses(): void {
  const direct = globalThis.fetch
  let requests = 0
  globalThis.fetch = (url, init) => {
    requests += 1
    const headers = new Headers(init?.headers)
    headers.set('x-forwarded-for', `10.${(requests >> 16) & 255}.${(requests >> 8) & 255}.${requests & 255}`)
    return direct(url, { ...init, headers })
  }
}
