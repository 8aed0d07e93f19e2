import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type AccountId,
  newId,
  openDatabase,
  Personal,
  silentLog,
  systemClock,
} from '../../server/src/core/index.ts'
import { createEmbeddedPostgres } from '../../server/src/embedded/index.ts'
import { createKeys, derivePurposeSecret, openKeyFile } from '../../server/src/keys/index.ts'
import { readConfig, startServer } from '../../server/src/main/index.ts'
import { createRegistry, type Registry } from '../../server/src/registry/index.ts'

const BIN = fileURLToPath(new URL('../../server/bin/hearthlock.js', import.meta.url))
const MODEL = new URL('../../server/models/hearth-bulb.json', import.meta.url)
const DEVICES_PER_HOUSEHOLD = 4

export interface FleetDevice {
  deviceId: string
  password: string
  claimCode: string
}

export interface BenchInstallation {
  directory: string
  env: NodeJS.ProcessEnv
  url: string
  mqttPort: number
  plainPort: number
  opsUrl: string
  devices: FleetDevice[]
  authorityPem: string
  /** `printed`: all that a start prints. */
  start(): Promise<{ pid: number; tookMs: number; printed: Promise<string> }>
  stop(): Promise<void>
  dispose(): Promise<void>
}

/** An installation on embedded defaults whose devices are provisioned (and claimed), and its server as a process. */
export async function createBenchInstallation(
  deviceCount: number,
  { claimed = true }: { claimed?: boolean } = {},
): Promise<BenchInstallation> {
  const directory = await mkdtemp(join(tmpdir(), 'hearthlock-bench-'))
  await chmod(directory, 0o711)
  const [http, mqtt, plain, ops] = await freePorts(4)
  const env: NodeJS.ProcessEnv = {
    PATH: process.env.PATH,
    HOME: directory,
    HEARTHLOCK_DATA_DIR: join(directory, 'data'),
    HEARTHLOCK_ROOT_KEY_FILE: join(directory, 'keys', 'root.key'),
    HEARTHLOCK_HTTP_PORT: String(http),
    HEARTHLOCK_MQTT_PORT: String(mqtt),
    HEARTHLOCK_MQTT_PLAIN_PORT: String(plain),
    HEARTHLOCK_OPS_PORT: String(ops),
    HEARTHLOCK_LOG_LEVEL: 'warn',
  }
  const first = await startServer(await readConfig(env), { log: silentLog })
  const { authorityPem } = first
  await first.close()
  const devices = await makeDevices(env, deviceCount, claimed)
  let server: ChildProcess | undefined

  async function stop(): Promise<void> {
    if (!server || server.exitCode !== null) return
    const exited = once(server, 'exit')
    server.kill('SIGINT')
    await exited
  }

  return {
    directory,
    env,
    url: `http://localhost:${http}`,
    mqttPort: mqtt as number,
    plainPort: plain as number,
    opsUrl: `http://127.0.0.1:${ops}`,
    devices,
    authorityPem,
    async start() {
      const began = performance.now()
      server = spawn(process.execPath, [...(process.env.BENCH_NODE_FLAGS?.split(' ') ?? []), BIN, 'start'], {
        env,
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const printed = until(server, 'Ctrl-C stops it')
      printed.catch(() => {})
      await until(server, 'Hearthlock is running')
      return { pid: server.pid as number, tookMs: performance.now() - began, printed }
    },
    stop,
    async dispose() {
      await stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Bulbs with passwords that nobody holds yet. */
export async function makeBulbs(registry: Registry, count: number): Promise<FleetDevice[]> {
  const model = await registry.addModel(JSON.parse(await readFile(MODEL, 'utf8')))
  const made = await registry.provision({ modelId: model.id, count }, { withPassword: true })
  return made.map(({ deviceId, password, claimCode }) => ({
    deviceId,
    password: password?.reveal() ?? '',
    claimCode: claimCode.reveal(),
  }))
}

/** Through the rooms and not through the doors: two thousand claims over HTTP are not what is measured. */
async function makeDevices(env: NodeJS.ProcessEnv, count: number, claimed: boolean): Promise<FleetDevice[]> {
  const config = await readConfig(env)
  const log = silentLog
  const clock = systemClock
  const provider = await openKeyFile({ path: config.rootKeyFile, dataDir: config.dataDir, mayCreate: false })
  const password = derivePurposeSecret(provider, 'embedded.postgres')
  const postgres = createEmbeddedPostgres({ dataDir: config.dataDir, password, log })
  const database = openDatabase({ connection: await postgres.start(), log })
  const keys = createKeys({ provider, database, clock, log })
  await keys.start()
  const registry = createRegistry({ database, keys, clock, log, isOnline: () => true })
  await registry.start()
  try {
    const model = await registry.addModel(JSON.parse(await readFile(MODEL, 'utf8')))
    const devices: FleetDevice[] = []
    const makeHousehold = async () => {
      const accountId = newId<AccountId>()
      const { householdId } = await registry.createHousehold(accountId, { name: new Personal('home') })
      return { accountId, householdId }
    }
    let holder = await makeHousehold()
    while (devices.length < count) {
      const batch = Math.min(1_000, count - devices.length)
      for (const made of await registry.provision(
        { modelId: model.id, count: batch },
        { withPassword: true },
      )) {
        if (devices.length % DEVICES_PER_HOUSEHOLD === 0) holder = await makeHousehold()
        if (claimed) await registry.claim({ ...holder, code: made.claimCode })
        devices.push({
          deviceId: made.deviceId,
          password: made.password?.reveal() ?? '',
          claimCode: made.claimCode.reveal(),
        })
      }
    }
    return devices
  } finally {
    await registry.close()
    await keys.close()
    await database.close()
    await postgres.close()
  }
}

/** @returns what was printed until then */
export function until(child: ChildProcess, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let printed = ''
    child.stdout?.on('data', (chunk) => {
      printed += chunk
      if (printed.includes(text)) resolve(printed)
    })
    child.once('exit', () => reject(new Error(`ended before "${text}":\n${printed}`)))
  })
}

export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
