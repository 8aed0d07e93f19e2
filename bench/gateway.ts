/**
 * The gateway alone beside Debian's mosquitto, in the same run: broker on core 0, load generator on core 1. The
 * gateway accepts into memory here, everything before and after that is what devices meet: topic, JSON, the key for
 * resends, PUBACK in order.
 *
 *   node bench/gateway.ts [--seconds 3] [--repeat 3] [--idle 10000] [--tls both|no|only] [--only gateway]
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
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
import { type LoadOptions, runLoad } from './support/mqtt-load.ts'

const THIS = fileURLToPath(import.meta.url)
const BROKER_CORE = 0
const LOAD_CORE = 1

interface Broker {
  name: string
  port: number
  tlsPort: number
  pid: number
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
    return {
      deviceId,
      model,
      tenure: tenureOf(deviceId),
      method: 'password' as const,
      rotationDue: false,
      epoch: 0,
    }
  }
  return {
    registry: {
      verifyDeviceCertificate: () => Promise.reject(new Error('not here')),
      verifyDeviceToken: identify,
      verifyDevicePassword: identify,
      currentTenure: async (deviceId) => tenureOf(deviceId),
      formerTenures: async () => [],
      onTenureChange: () => () => {},
      recordReset: async () => ({ tenureEnded: false }),
      isResetKnown: async () => false,
      isRotationDue: async () => false,
      rotateCredential: () => Promise.reject(new Error('not here')),
      resets: { onReset: () => () => {} },
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
  const folder = process.env.BENCH_FOLDER as string
  const certificatePem = await readFile(join(folder, 'certificate.pem'), 'utf8')
  const privateKeyPem = new Secret(await readFile(join(folder, 'key.pem'), 'utf8'))
  const gateway = createGateway({
    ...acceptingRooms(),
    clock: systemClock,
    log: silentLog,
    resendSecret: new Secret('benchmark'),
    plain: { host: '127.0.0.1', port: 0 },
    tls: { host: '127.0.0.1', port: 0, certificatePem, privateKeyPem, authorityPem: certificatePem },
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

async function startGateway(folder: string): Promise<Broker> {
  const flags = process.env.BENCH_NODE_FLAGS?.split(' ') ?? []
  const [command, ...args] = pinned(BROKER_CORE, [process.execPath, '--expose-gc', ...flags, THIS, '--serve'])
  const child = spawn(command as string, args, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, BENCH_FOLDER: folder },
  })
  const [{ port, tlsPort }] = (await once(child, 'message')) as [{ port: number; tlsPort: number }]
  return {
    name: 'hearthlock gateway',
    pid: child.pid as number,
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
  const [port, tlsPort] = [await freePort(), await freePort()]
  const file = join(folder, 'mosquitto.conf')
  await writeFile(
    file,
    `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\nlog_type none\n` +
      `listener ${tlsPort} 127.0.0.1\ncertfile ${folder}/certificate.pem\nkeyfile ${folder}/key.pem\n`,
  )
  const [command, ...args] = pinned(BROKER_CORE, ['mosquitto', '-c', file])
  const child = spawn(command as string, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  await reachable(port)
  return {
    name: 'mosquitto',
    pid: child.pid as number,
    port,
    tlsPort,
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

/** User and system time that a process has used, in seconds (proc(5): clock ticks of 10 ms). */
async function cpuSeconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

interface Figures {
  acksPerSecond: number
  p99: number
  /** The broker's own processor time for one publish: what is left when the machine is busy with other things. */
  cpuMicroseconds: number
}

async function measureLoad(broker: Broker, load: LoadOptions): Promise<Figures> {
  let cpu = 0
  const result = await runLoad(load, {
    core: LOAD_CORE,
    onConnected: async () => {
      cpu = await cpuSeconds(broker.pid)
    },
  })
  const used = (await cpuSeconds(broker.pid)) - cpu
  return {
    acksPerSecond: result.acksPerSecond,
    p99: result.latencyMs.p99,
    cpuMicroseconds: (used * 1e6) / result.totalAcks,
  }
}

async function throughput(
  brokers: Broker[],
  { seconds, repeat, caFile }: { seconds: number; repeat: number; caFile?: string | undefined },
): Promise<void> {
  const rows: Record<string, string | number>[] = []
  for (const connections of [200, 2_000]) {
    for (const inFlight of [1, 10]) {
      const figures: Figures[][] = brokers.map(() => [])
      for (let round = 0; round < repeat; round++)
        for (const [index, broker] of brokers.entries()) {
          const port = caFile ? broker.tlsPort : broker.port
          const load = { port, caFile, connections, inFlight, seconds, version: 5 as const }
          figures[index]?.push(await measureLoad(broker, load))
        }
      const medians = (figure: keyof Figures) =>
        figures.map((all) => median(all.map((figures) => figures[figure])))
      const [rate, otherRate] = medians('acksPerSecond') as [number, number?]
      const [cpu, otherCpu] = medians('cpuMicroseconds') as [number, number?]
      const [p99, otherP99] = medians('p99')
      rows.push({
        connections,
        'in flight': inFlight,
        'gateway acks/s': rate,
        'mosquitto acks/s': otherRate ?? '-',
        'ratio acks': otherRate ? (rate / otherRate).toFixed(2) : '-',
        'gateway CPU µs': cpu.toFixed(1),
        'mosquitto CPU µs': otherCpu?.toFixed(1) ?? '-',
        'ratio CPU': otherCpu ? (otherCpu / cpu).toFixed(2) : '-',
        'p99 ms': `${p99} / ${otherP99 ?? '-'}`,
      })
    }
  }
  console.table(rows)
}

/** The groups that small devices' TLS libraries offer. Larger handshakes leave larger buffers behind in OpenSSL. */
const SMALL_DEVICE_GROUPS = 'X25519:P-256'

async function idleMemory(
  brokers: Broker[],
  { connections, caFile, groups }: { connections: number; caFile?: string; groups?: string },
): Promise<void> {
  const rows: Record<string, string | number>[] = []
  for (const broker of brokers) {
    const before = await broker.rssBytes()
    let during = before
    const port = caFile ? broker.tlsPort : broker.port
    const load = { port, caFile, groups, connections, inFlight: 0, seconds: 0, warmUpSeconds: 0 }
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
      ...(caFile && { 'key exchange': groups ?? 'X25519MLKEM768' }),
      'idle connections': connections,
      'MiB more': Math.round(mebibytes),
      'MiB per 10,000': Math.round((mebibytes * 10_000) / connections),
    })
  }
  console.table(rows)
}

/** One certificate for both brokers. */
async function makeCertificate(folder: string): Promise<void> {
  const certificate = join(folder, 'certificate.pem')
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '2']
  const key = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    join(folder, 'key.pem'),
  ]
  execFileSync('openssl', ['req', '-x509', ...key, ...subject, '-out', certificate], { stdio: 'ignore' })
  // mosquitto gives up root's rights before it reads them.
  await chmod(folder, 0o755)
  await chmod(join(folder, 'key.pem'), 0o644)
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      serve: { type: 'boolean' },
      seconds: { type: 'string', default: '3' },
      repeat: { type: 'string', default: '3' },
      idle: { type: 'string', default: '10000' },
      only: { type: 'string' },
      tls: { type: 'string', default: 'both' },
    },
  })
  if (values.serve) return serve()
  const folder = await mkdtemp(join(tmpdir(), 'hearthlock-bench-'))
  const certificate = join(folder, 'certificate.pem')
  const measure = async (work: (brokers: Broker[]) => Promise<void>) => {
    const brokers: Broker[] = []
    try {
      brokers.push(await startGateway(folder))
      if (values.only !== 'gateway') brokers.push(await startMosquitto(folder))
      await work(brokers)
    } finally {
      for (const broker of brokers) await broker.stop()
    }
  }
  await makeCertificate(folder)
  const { tls } = values
  const [seconds, repeat, idle] = [Number(values.seconds), Number(values.repeat), Number(values.idle)]
  for (const caFile of tls === 'only'
    ? [certificate]
    : tls === 'no'
      ? [undefined]
      : [undefined, certificate]) {
    console.log(caFile ? 'TLS 1.3' : 'without TLS')
    if (repeat > 0) await measure((brokers) => throughput(brokers, { seconds, repeat, caFile }))
    if (idle === 0) continue
    for (const groups of caFile ? [SMALL_DEVICE_GROUPS, undefined] : [undefined]) {
      await measure((brokers) =>
        idleMemory(brokers, { connections: idle, ...(caFile && { caFile }), ...(groups && { groups }) }),
      )
    }
  }
  await rm(folder, { recursive: true })
}

await main()
