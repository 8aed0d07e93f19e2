/**
 * The gateway alone beside Debian's mosquitto, in the same run: broker on core 0, load generator on core 1. The
 * gateway accepts into memory here, everything before and after that is what devices meet: topic, JSON, the key for
 * resends, PUBACK in order.
 *
 *   node bench/gateway.ts [--seconds 3] [--repeat 3] [--idle 10000]
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createConnection, createServer } from 'node:net'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  type Database,
  type DeviceId,
  Secret,
  silentLog,
  systemClock,
  type TenureId,
} from '../server/src/core/index.ts'
import { createGateway, type GatewayRegistry, type GatewayStream } from '../server/src/gateway/index.ts'
import type { Model, Tenure } from '../server/src/registry/index.ts'
import { type LoadResult, runLoad } from './support/mqtt-load.ts'

const THIS = fileURLToPath(import.meta.url)
const BROKER_CORE = 0
const LOAD_CORE = 1

interface Broker {
  name: string
  port: number
  tlsPort?: number | undefined
  rssBytes(): Promise<number>
  stop(): Promise<void>
}

/** Everybody is let in, everything fits, everything is recorded at once. */
function acceptingRooms(): { registry: GatewayRegistry; stream: GatewayStream; database: Database } {
  const accepted = { ok: true as const, paths: ['1/OnOff.OnOff', '1/OnOff.OnTime'] }
  const model = { checkAttributes: () => accepted } as unknown as Model
  const tenureOf = (deviceId: DeviceId) => ({ deviceId, tenureId: deviceId as string as TenureId }) as Tenure
  const identify = async (id: string) => {
    const deviceId = id as DeviceId
    return { deviceId, model, tenure: tenureOf(deviceId), method: 'password' as const }
  }
  return {
    registry: {
      verifyDeviceCertificate: () => Promise.reject(new Error('not here')),
      verifyDeviceToken: identify,
      verifyDevicePassword: identify,
      currentTenure: async (deviceId) => tenureOf(deviceId),
      onTenureChange: () => () => {},
    },
    stream: {
      writer: async () => ({ append: async () => {}, close() {} }),
      recentMessageKeys: async () => [],
      congested: false,
      onDrain: () => () => {},
    },
    database: { pool: { query: async () => ({ rows: [] }) } } as unknown as Database,
  }
}

/** In the process that is pinned to the broker's core. */
async function serve(): Promise<void> {
  const tls = process.env.BENCH_TLS ? JSON.parse(process.env.BENCH_TLS) : undefined
  const gateway = createGateway({
    ...acceptingRooms(),
    clock: systemClock,
    log: silentLog,
    resendSecret: new Secret('benchmark'),
    plain: { host: '127.0.0.1', port: 0 },
    tls: tls && { ...tls, host: '127.0.0.1', port: 0, privateKeyPem: new Secret(tls.privateKeyPem) },
    limits: { connectionBurst: 100_000, connectionsPerSecond: 100_000 },
    onDeviceReady: () => {},
    onCommandDelivered: () => {},
  })
  const { plainPort, tlsPort } = await gateway.start()
  process.on('message', (asked) => {
    if (asked === 'stop') process.exit(0)
    global.gc?.()
    process.send?.({ rss: process.memoryUsage().rss })
  })
  process.on('disconnect', () => process.exit(0))
  process.send?.({ port: plainPort, tlsPort })
}

function pinned(core: number, command: string[]): string[] {
  return cpus().length > 1 ? ['taskset', '-c', String(core), ...command] : command
}

async function startGateway(): Promise<Broker> {
  const flags = process.env.BENCH_NODE_FLAGS?.split(' ') ?? []
  const [command, ...args] = pinned(BROKER_CORE, [process.execPath, '--expose-gc', ...flags, THIS, '--serve'])
  const child = spawn(command as string, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [{ port, tlsPort }] = (await once(child, 'message')) as [{ port: number; tlsPort?: number }]
  return {
    name: 'hearthlock gateway',
    port,
    tlsPort,
    async rssBytes() {
      child.send('rss')
      const [{ rss }] = (await once(child, 'message')) as [{ rss: number }]
      return rss
    },
    stop: () => stop(child, () => child.send('stop')),
  }
}

async function startMosquitto(folder: string): Promise<Broker> {
  const port = await freePort()
  const file = join(folder, 'mosquitto.conf')
  await writeFile(
    file,
    `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\nlog_type none\n`,
  )
  const [command, ...args] = pinned(BROKER_CORE, ['mosquitto', '-c', file])
  const child = spawn(command as string, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  await reachable(port)
  return {
    name: 'mosquitto',
    port,
    rssBytes: () => residentBytes(child.pid as number),
    stop: () => stop(child, () => child.kill('SIGTERM')),
  }
}

async function stop(child: ChildProcess, ask: () => void): Promise<void> {
  const exited = once(child, 'exit')
  ask()
  await exited
}

async function residentBytes(pid: number): Promise<number> {
  const { readFile } = await import('node:fs/promises')
  const pages = Number((await readFile(`/proc/${pid}/statm`, 'utf8')).split(' ')[1])
  return pages * 4096
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address ? address.port : 0
}

async function reachable(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const socket = createConnection({ host: '127.0.0.1', port })
    const connected = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    })
    socket.destroy()
    if (connected) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('mosquitto did not start')
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

async function throughput(brokers: Broker[], seconds: number, repeat: number): Promise<void> {
  const rows: Record<string, string | number>[] = []
  for (const connections of [200, 2_000]) {
    for (const inFlight of [1, 10]) {
      const results = new Map<Broker, LoadResult[]>(brokers.map((broker) => [broker, []]))
      for (let round = 0; round < repeat; round++)
        for (const broker of brokers) {
          const { port } = broker
          const load = { port, connections, inFlight, seconds, version: 5 as const }
          results.get(broker)?.push(await runLoad(load, { core: LOAD_CORE }))
        }
      const rates = brokers.map((broker) =>
        median((results.get(broker) ?? []).map((result) => result.acksPerSecond)),
      )
      const p99s = brokers.map((broker) =>
        median((results.get(broker) ?? []).map((result) => result.latencyMs.p99)),
      )
      const row: Record<string, string | number> = { connections, 'in flight': inFlight }
      brokers.forEach(({ name }, index) => {
        row[`${name}: acks/s`] = rates[index] ?? 0
        row.ratio = ((rates[0] ?? 0) / (rates[1] ?? Number.NaN)).toFixed(2)
        row[`${name}: p99 ms`] = p99s[index] ?? 0
      })
      rows.push(row)
    }
  }
  console.table(rows)
}

async function idleMemory(brokers: Broker[], connections: number): Promise<void> {
  const rows: Record<string, string | number>[] = []
  for (const broker of brokers) {
    const before = await broker.rssBytes()
    let during = before
    const load = { port: broker.port, connections, inFlight: 0, seconds: 0, warmUpSeconds: 0 }
    await runLoad(load, {
      core: LOAD_CORE,
      onConnected: async () => {
        await new Promise((resolve) => setTimeout(resolve, 3_000))
        during = await broker.rssBytes()
      },
    })
    const mebibytes = (during - before) / 2 ** 20
    rows.push({
      broker: broker.name,
      'idle connections': connections,
      'MiB more': Math.round(mebibytes),
      'MiB per 10,000': Math.round((mebibytes * 10_000) / connections),
    })
  }
  console.table(rows)
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      serve: { type: 'boolean' },
      seconds: { type: 'string', default: '3' },
      repeat: { type: 'string', default: '3' },
      idle: { type: 'string', default: '10000' },
      only: { type: 'string' },
    },
  })
  if (values.serve) return serve()
  const folder = await mkdtemp(join(tmpdir(), 'hearthlock-bench-'))
  const measure = async (work: (brokers: Broker[]) => Promise<void>) => {
    const brokers: Broker[] = []
    try {
      brokers.push(await startGateway())
      if (values.only !== 'gateway') brokers.push(await startMosquitto(folder))
      await work(brokers)
    } finally {
      for (const broker of brokers) await broker.stop()
    }
  }
  await measure((brokers) => throughput(brokers, Number(values.seconds), Number(values.repeat)))
  if (Number(values.idle) > 0) await measure((brokers) => idleMemory(brokers, Number(values.idle)))
  await rm(folder, { recursive: true })
}

await main()
