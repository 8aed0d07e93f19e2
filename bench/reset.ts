/**
 * A reset of everything, with a whole maker's customers and devices in the database and as many live connections as are
 * asked for: until everything of before is void, until the last connection is closed, until the fleet is back.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import mqtt, { type MqttClient } from 'mqtt'
import { type Client, createClient, memorySessionStore } from '../server/src/client/index.ts'
import { createLog, openDatabase, Secret, silentLog, systemClock } from '../server/src/core/index.ts'
import { createEmbeddedPostgres } from '../server/src/embedded/index.ts'
import { createKeys, openKeyFile } from '../server/src/keys/index.ts'
import { createRegistry } from '../server/src/registry/index.ts'
import { makeCrowd } from './support/crowd.ts'
import { enrolOperator, newCustomer } from './support/customers.ts'
import { type FleetDevice, freePorts, makeBulbs, until } from './support/fleet.ts'
import { printTable } from './support/table.ts'

const BIN = fileURLToPath(new URL('../server/bin/hearthlock.js', import.meta.url))
const CUSTOMERS = Number(process.env.BENCH_CUSTOMERS ?? 2_400_000)
const DEVICES = Number(process.env.BENCH_DEVICES ?? 6_000_000)
const CONNECTED = Number(process.env.BENCH_CONNECTED ?? 4_000)
const STREAMS = Number(process.env.BENCH_STREAMS ?? 500)
const STREAMS_PER_ACCOUNT = 16
const AT_ONCE = 100

interface View {
  resetId: string
  state: string
  removedSignIns: number
  waitingConnections: number
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
let child: ChildProcess | undefined
const stop = new AbortController()
const fleet: MqttClient[] = []
comeFromManyAddresses()
try {
  const ports = await startServer()
  const passkey = await enrolOperator(ports.url, ports.printed)
  const officer = createClient({ baseUrl: ports.url, store: memorySessionStore() })
  const bulbs: FleetDevice[] = []
  while (bulbs.length < CONNECTED) bulbs.push(...(await makeMore(Math.min(1_000, CONNECTED - bulbs.length))))

  const began = performance.now()
  await makeCrowd(database, { customers: CUSTOMERS, devices: DEVICES }, (made, of) => {
    if (process.stderr.isTTY)
      process.stderr.write(`\r${made.toLocaleString('en')} of ${of.toLocaleString('en')} rows\u001b[K`)
  })
  const crowdSeconds = (performance.now() - began) / 1000
  const { rows } = await database.pool.query('select pg_database_size(current_database()) as bytes')
  console.log(
    `${CUSTOMERS.toLocaleString('en')} customers and ${DEVICES.toLocaleString('en')} devices: ` +
      `${(rows[0].bytes / 2 ** 30).toFixed(1)} GiB, made in ${crowdSeconds.toFixed(0)} s`,
  )

  for (let at = 0; at < bulbs.length; at += AT_ONCE)
    fleet.push(
      ...(await Promise.all(bulbs.slice(at, at + AT_ONCE).map((bulb) => connect(ports.mqttUrl, bulb)))),
    )
  const readies = await watchMany(ports.url, passkey)
  console.log(
    `${fleet.length} devices connected, ${readies.length} live streams; load ${loadavg()[0]?.toFixed(1)}`,
  )

  // A reset asks for a sign-in of the last ten minutes.
  await officer.signIn({ clientId: 'hearthlock-operator-cli', passkey })
  const body = { scope: 'all', quietly: true }
  const plan = () => officer.request('POST', '/v1/resets/plan', { body, withoutTimeout: true })
  console.log(`dry run: ${((await timed(plan)) / 1000).toFixed(1)} s`)
  const results = []
  for (const round of ['first', 'second']) results.push({ round, ...(await measure(officer, readies)) })
  printTable('reset --scope all --quietly', results)
  const cleared = await signOut(officer)
  printTable('reset --scope customers --sign-out', [cleared])
} finally {
  stop.abort()
  await Promise.all(fleet.map((device) => device.endAsync(true)))
  if (child && child.exitCode === null) {
    const exited = once(child, 'exit')
    child.kill('SIGINT')
    await exited
  }
  await database.close()
  await postgres.close()
  await rm(directory, { recursive: true, force: true })
}

async function measure(officer: Client, readies: { count: number }[]) {
  const body = { scope: 'all', quietly: true }
  const readyBefore = readies.map(({ count }) => count)
  const away = fleet.map((device) => new Promise<void>((done) => device.once('close', () => done())))
  const began = performance.now()
  const since = () => performance.now() - began
  const view = await officer.request<View>('POST', '/v1/resets', { body })
  const voidMs = since()
  const back = Promise.all(
    fleet.map(async (device, at) => {
      await away[at]
      if (!device.connected) await new Promise<void>((done) => device.once('connect', () => done()))
    }),
  )
  const closed = Promise.all(away).then(since)
  const streamsBack = (async () => {
    while (readies.some(({ count }, at) => count === readyBefore[at])) await sleep(20)
    return since()
  })()
  const devicesBackMs = await back.then(since)
  const answer = {
    'void ms': voidMs,
    'last device closed s': (await closed) / 1000,
    'devices back s': devicesBackMs / 1000,
    'streams back s': (await streamsBack) / 1000,
  }
  await finished(officer, view)
  return answer
}

async function signOut(officer: Client) {
  const began = performance.now()
  const view = await officer.request<View>('POST', '/v1/resets', {
    body: { scope: 'customers', quietly: false },
  })
  const voidMs = performance.now() - began
  const { removedSignIns } = await finished(officer, view)
  return {
    'void ms': voidMs,
    'cleared away s': (performance.now() - began) / 1000,
    'sign-ins': removedSignIns,
  }
}

async function finished(officer: Client, { resetId }: View): Promise<View> {
  for (;;) {
    const view = await officer.request<View>('GET', `/v1/resets/${resetId}`)
    if (view.state === 'done') return view
    await sleep(250)
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

async function watchMany(
  url: string,
  passkey: Parameters<typeof newCustomer>[1],
): Promise<{ count: number }[]> {
  const readies: { count: number }[] = []
  let watcher: Client | undefined
  let householdId = ''
  for (let open = 0; open < STREAMS; open += 1) {
    if (open % STREAMS_PER_ACCOUNT === 0) {
      watcher = await newCustomer(url, passkey, `bench-${open}@example.org`)
      const body = { name: 'Bench' }
      householdId = (await watcher.request<{ householdId: string }>('POST', '/v1/households', { body }))
        .householdId
    }
    const ready = { count: 0 }
    readies.push(ready)
    await new Promise<void>((resolve, reject) => {
      const onReady = () => {
        ready.count += 1
        resolve()
      }
      watcher?.live(householdId, () => {}, stop.signal, { onReady }).catch(reject)
    })
  }
  return readies
}

function connect(url: string, { deviceId, password: secret }: FleetDevice): Promise<MqttClient> {
  return mqtt.connectAsync(url, {
    protocolVersion: 5,
    clientId: deviceId,
    username: deviceId,
    password: secret,
    keepalive: 600,
    // As docs/devices.md asks for: each device waits its own time.
    reconnectPeriod: 1_000 + Math.floor(Math.random() * 4_000),
  })
}

/** Through the rooms: provisioning is not what is measured. */
async function makeMore(count: number): Promise<FleetDevice[]> {
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

async function startServer() {
  const [http, tls, plain, ops] = (await freePorts(4)) as [number, number, number, number]
  child = spawn(process.execPath, [BIN, 'start'], {
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
  const printed = await until(child, 'Ctrl-C stops it')
  return { url: `http://localhost:${http}`, mqttUrl: `mqtt://127.0.0.1:${plain}`, printed }
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
