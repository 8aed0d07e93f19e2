/**
 * A load generator on raw sockets: holds N connections with W publishes of QoS 1 in flight on each, for a time, and
 * tells acknowledgements a second and latencies as one line of JSON. A process of its own, so that it can be pinned
 * to another core than what it measures:
 *
 *   taskset -c 1 node bench/support/mqtt-load.ts '{"port":1883,"connections":200,"inFlight":10,"seconds":5}'
 *
 * or from another benchmark: `runLoad({ … }, { core: 1 })`.
 */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, createSecureContext } from 'node:tls'
import { fileURLToPath } from 'node:url'

export interface LoadOptions {
  host?: string | undefined
  port: number
  connections: number
  /** Publishes that wait for their PUBACK, on each connection. 0: connected and idle. */
  inFlight: number
  /** Measured time, after the warm-up. */
  seconds: number
  warmUpSeconds?: number | undefined
  version?: 4 | 5 | undefined
  /** PEM file of the authority: TLS. */
  caFile?: string | undefined
  /** TLS key exchange groups, as OpenSSL names them. Node's own default unless said: hybrid, with ML-KEM. */
  groups?: string | undefined
  /** JSON file, `[{ deviceId, password }]`, one for each connection. Without it they are made up. */
  devicesFile?: string | undefined
  /** `{id}` stands for the device id. */
  topic?: string | undefined
  payload?: string | undefined
  /** Connections that are being opened at once. */
  opening?: number | undefined
}

export interface LoadResult {
  connections: number
  inFlight: number
  seconds: number
  acks: number
  /** The warm-up included. */
  totalAcks: number
  acksPerSecond: number
  /** PUBACKs with a refusal, and connections that ended early. */
  refused: number
  lost: number
  connectSeconds: number
  latencyMs: { p50: number; p90: number; p99: number; max: number }
}

const PAYLOAD = `{"OnOff.OnOff":true,"$at":"2026-01-01T00:00:00.000Z","ElectricalPowerMeasurement.ActivePower":123456,"OnOff.OnTime":12345}`

/** Starts the generator as a process and waits for its figures. `onConnected` is called when all connections stand. */
export async function runLoad(
  options: LoadOptions,
  process_: { core?: number | undefined; onConnected?: (() => Promise<void>) | undefined } = {},
): Promise<LoadResult> {
  const node = [process.execPath, fileURLToPath(import.meta.url), JSON.stringify(options)]
  const command = process_.core === undefined ? node : ['taskset', '-c', String(process_.core), ...node]
  const child = spawn(command[0] as string, command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'close')
  let output = ''
  let connected: Promise<void> | undefined
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk
    if (connected === undefined && output.includes('connected\n'))
      connected = (process_.onConnected?.() ?? Promise.resolve()).then(() => void child.stdin.write('go\n'))
  })
  const [code] = await exited
  await connected
  if (code !== 0) throw new Error(`the load generator ended with ${code}`)
  return JSON.parse(output.slice(output.indexOf('{')))
}

/** Latencies in buckets of 1/16 of a power of two, in microseconds. */
class Histogram {
  readonly #buckets = new Uint32Array(32 * 16)
  #count = 0
  #max = 0

  add(ms: number): void {
    const us = Math.max(1, ms * 1000)
    const bucket = Math.min(511, Math.floor(Math.log2(us) * 16))
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1
    this.#count += 1
    if (ms > this.#max) this.#max = ms
  }

  percentile(part: number): number {
    let left = this.#count * part
    for (let bucket = 0; bucket < this.#buckets.length; bucket++) {
      left -= this.#buckets[bucket] as number
      if (left <= 0) return round(2 ** ((bucket + 1) / 16) / 1000)
    }
    return round(this.#max)
  }

  get max(): number {
    return round(this.#max)
  }
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000
}

interface Device {
  deviceId: string
  password?: string
}

class LoadConnection {
  readonly socket: Socket
  readonly #load: Load
  readonly #packet: Buffer
  readonly #idAt: number
  readonly #sentAt: Float64Array
  #rest: Buffer | undefined

  constructor(load: Load, socket: Socket, device: Device) {
    const { topic = 'hearth/1/{id}/attributes', payload = PAYLOAD, version = 5, inFlight } = load.options
    this.#load = load
    this.socket = socket
    const name = topic.replaceAll('{id}', device.deviceId)
    this.#packet = Buffer.concat([
      fixedHeader(
        0x32,
        2 + Buffer.byteLength(name) + 2 + (version === 5 ? 1 : 0) + Buffer.byteLength(payload),
      ),
      text(name),
      Buffer.from(version === 5 ? [0, 0, 0] : [0, 0]),
      Buffer.from(payload),
    ])
    this.#idAt = this.#packet.indexOf(name) + Buffer.byteLength(name)
    this.#sentAt = new Float64Array(inFlight + 1)
  }

  start(): void {
    const ids = Array.from(this.#sentAt.keys()).slice(1)
    if (ids.length > 0) this.#send(ids)
  }

  listen(): void {
    this.socket.on('data', (chunk: Buffer) => this.#read(chunk))
  }

  #send(ids: number[]): void {
    const now = performance.now()
    const size = this.#packet.length
    const bytes = Buffer.allocUnsafe(size * ids.length)
    for (let index = 0; index < ids.length; index++) {
      const id = ids[index] as number
      this.#packet.copy(bytes, index * size)
      bytes.writeUInt16BE(id, index * size + this.#idAt)
      this.#sentAt[id] = now
    }
    this.socket.write(bytes)
  }

  #read(chunk: Buffer): void {
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk
    const now = performance.now()
    const ids: number[] = []
    let at = 0
    // Every answer is shorter than 128 bytes.
    while (bytes.length - at >= 2 && bytes.length - at >= 2 + (bytes[at + 1] as number)) {
      const length = bytes[at + 1] as number
      if (bytes[at] === 0x40) {
        const id = bytes.readUInt16BE(at + 2)
        if (length > 2 && (bytes[at + 4] as number) >= 0x80) this.#load.refused += 1
        this.#load.acknowledged(now - (this.#sentAt[id] ?? now))
        ids.push(id)
      }
      at += 2 + length
    }
    this.#rest = at < bytes.length ? bytes.subarray(at) : undefined
    if (ids.length > 0 && !this.#load.stopped) this.#send(ids)
  }
}

class Load {
  readonly options: LoadOptions
  refused = 0
  stopped = false
  #lost = 0
  #acks = 0
  #totalAcks = 0
  #measuring = false
  readonly #latency = new Histogram()
  readonly #connections: LoadConnection[] = []

  constructor(options: LoadOptions) {
    this.options = options
  }

  acknowledged(ms: number): void {
    this.#totalAcks += 1
    if (!this.#measuring) return
    this.#acks += 1
    this.#latency.add(ms)
  }

  async run(connected: () => Promise<void>): Promise<LoadResult> {
    const { connections, inFlight, seconds, warmUpSeconds = 1, opening = 50 } = this.options
    const began = performance.now()
    const devices = await this.#devices()
    const { caFile, groups } = this.options
    const context = caFile
      ? createSecureContext({ ca: await readFile(caFile), ...(groups && { ecdhCurve: groups }) })
      : undefined
    let next = 0
    const open = async () => {
      while (next < connections) {
        const device = devices[next++] as Device
        this.#connections.push(await this.#open(device, context))
      }
    }
    await Promise.all(Array.from({ length: Math.min(opening, connections) }, open))
    const connectSeconds = round((performance.now() - began) / 1000)
    await connected()
    for (const connection of this.#connections) connection.start()
    await pause(warmUpSeconds)
    this.#measuring = true
    const from = performance.now()
    await pause(seconds)
    this.#measuring = false
    const measured = (performance.now() - from) / 1000
    this.stopped = true
    for (const { socket } of this.#connections) socket.removeAllListeners('close').destroy()
    const { p50, p90, p99 } = {
      p50: this.#latency.percentile(0.5),
      p90: this.#latency.percentile(0.9),
      p99: this.#latency.percentile(0.99),
    }
    return {
      connections,
      inFlight,
      seconds: round(measured),
      acks: this.#acks,
      totalAcks: this.#totalAcks,
      acksPerSecond: Math.round(this.#acks / measured),
      refused: this.refused,
      lost: this.#lost,
      connectSeconds,
      latencyMs: { p50, p90, p99, max: this.#latency.max },
    }
  }

  async #devices(): Promise<Device[]> {
    const { devicesFile, connections } = this.options
    if (!devicesFile)
      return Array.from({ length: connections }, () => ({ deviceId: randomUUID(), password: 'made up' }))
    const devices: Device[] = JSON.parse(await readFile(devicesFile, 'utf8'))
    if (devices.length < connections) throw new Error('fewer devices than connections')
    return devices
  }

  async #open(
    device: Device,
    secureContext: ReturnType<typeof createSecureContext> | undefined,
  ): Promise<LoadConnection> {
    const { host = '127.0.0.1', port } = this.options
    const socket = secureContext
      ? connectTls({
          host,
          port,
          secureContext,
          servername: 'localhost',
          checkServerIdentity: () => undefined,
        })
      : connectTcp({ host, port })
    socket.setNoDelay(true)
    socket.on('error', () => {})
    await once(socket, secureContext ? 'secureConnect' : 'connect')
    socket.write(this.#connectPacket(device))
    const [connack] = (await once(socket, 'data')) as [Buffer]
    if (connack[0] !== 0x20 || connack[3] !== 0) throw new Error(`refused with code ${connack[3]}`)
    socket.once('close', () => {
      this.#lost += 1
    })
    const connection = new LoadConnection(this, socket, device)
    connection.listen()
    return connection
  }

  #connectPacket({ deviceId, password }: Device): Buffer {
    const { version = 5 } = this.options
    const body = Buffer.concat([
      text('MQTT'),
      Buffer.from([version, password === undefined ? 2 : 0xc2, 0, 0]),
      Buffer.from(version === 5 ? [0] : []),
      text(deviceId),
      ...(password === undefined ? [] : [text(deviceId), text(password)]),
    ])
    return Buffer.concat([fixedHeader(0x10, body.length), body])
  }
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
}

function fixedHeader(type: number, length: number): Buffer {
  const bytes = [type]
  let rest = length
  do {
    bytes.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest)
    rest >>>= 7
  } while (rest > 0)
  return Buffer.from(bytes)
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000))
}

async function main(): Promise<void> {
  const load = new Load(JSON.parse(process.argv[2] as string))
  const result = await load.run(async () => {
    process.stdout.write('connected\n')
    if (process.stdin.isTTY) return
    // Until the benchmark says so, or has nothing to say.
    await Promise.race([once(process.stdin, 'data'), once(process.stdin, 'end')])
  })
  process.stdout.write(`${JSON.stringify(result)}\n`)
  process.exit(0)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
