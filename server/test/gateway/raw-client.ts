import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { generate, type IConnectPacket, type Packet, parser } from 'mqtt-packet'

export interface RawClientOptions {
  port: number
  version: 4 | 5
  /** Another one of loopback, to come from elsewhere. */
  localAddress?: string | undefined
  tls?: { ca: string; cert?: string; key?: string; session?: Buffer; maxVersion?: 'TLSv1.2' | 'TLSv1.3' }
}

type PacketOf<Name extends Packet['cmd']> = Extract<Packet, { cmd: Name }>

/** A client that says exactly what it is told to, also what no honest client says. */
export class RawClient {
  readonly socket: Socket
  readonly version: 4 | 5
  readonly received: Packet[] = []
  readonly closed: Promise<void>
  /** Sees each packet when it comes, beside `received`. */
  onPacket: (packet: Packet) => void = () => {}
  #wake: () => void = () => {}
  #ended = false

  private constructor(socket: Socket, version: 4 | 5) {
    this.socket = socket
    this.version = version
    const reader = parser({ protocolVersion: version })
    reader.on('packet', (packet) => {
      this.received.push(packet)
      this.onPacket(packet)
      this.#wake()
    })
    reader.on('error', (error) => socket.destroy(error))
    socket.on('data', (chunk: Buffer) => reader.parse(chunk))
    socket.on('error', () => {})
    this.closed = new Promise((resolve) =>
      socket.once('close', () => {
        this.#ended = true
        this.#wake()
        resolve()
      }),
    )
  }

  static async open({ port, version, localAddress, tls }: RawClientOptions): Promise<RawClient> {
    const socket = tls
      ? connectTls({ host: '127.0.0.1', port, servername: 'localhost', ...tls })
      : connectTcp({ host: '127.0.0.1', port, ...(localAddress && { localAddress }) })
    const client = new RawClient(socket, version)
    await Promise.race([once(socket, tls ? 'secureConnect' : 'connect'), client.closed])
    return client
  }

  get tls(): TLSSocket {
    return this.socket as TLSSocket
  }

  get ended(): boolean {
    return this.#ended
  }

  bytes(bytes: Buffer): void {
    this.socket.write(bytes)
  }

  send(packet: Packet): void {
    this.bytes(generate(packet, { protocolVersion: this.version }))
  }

  connectAs(
    device: { deviceId: string; password?: string | Buffer },
    overrides: Partial<IConnectPacket> = {},
  ): void {
    this.send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: this.version,
      clean: true,
      keepalive: 60,
      clientId: device.deviceId,
      username: device.deviceId,
      password: Buffer.from(device.password ?? ''),
      ...overrides,
    })
  }

  publish(topic: string, payload: object | string | Buffer, o: Partial<PacketOf<'publish'>> = {}): void {
    this.send({
      cmd: 'publish',
      topic,
      payload: Buffer.isBuffer(payload) || typeof payload === 'string' ? payload : JSON.stringify(payload),
      qos: 1,
      dup: false,
      retain: false,
      messageId: 1,
      ...o,
    })
  }

  subscribe(topic: string, qos: 0 | 1 | 2 = 1, messageId = 9): void {
    this.send({ cmd: 'subscribe', messageId, subscriptions: [{ topic, qos, nl: false, rap: false, rh: 0 }] })
  }

  /** The next packet of this kind; the ones before it stay for others. @throws when the connection ends first */
  async next<Name extends Packet['cmd']>(cmd: Name): Promise<PacketOf<Name>> {
    for (;;) {
      const index = this.received.findIndex((packet) => packet.cmd === cmd)
      if (index !== -1) return this.received.splice(index, 1)[0] as PacketOf<Name>
      if (this.#ended) throw new Error(`the connection ended before a ${cmd}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Resolves with what came before the end. */
  async end(): Promise<Packet[]> {
    await this.closed
    return this.received
  }
}
