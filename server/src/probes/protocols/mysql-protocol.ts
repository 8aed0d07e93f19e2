import { constants, createHash, publicEncrypt } from 'node:crypto'
import type { Connection } from '../connection.ts'
import { garbled } from '../failure.ts'

/** https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html */
const LONGEST_PACKET = 65_536

const CLIENT_LONG_PASSWORD = 1
const CLIENT_PROTOCOL_41 = 0x200
const CLIENT_SSL = 0x800
const CLIENT_SECURE_CONNECTION = 0x8000
const CLIENT_PLUGIN_AUTH = 0x80000
const UTF8 = 33

/** Packets with their sequence numbers. */
export class MysqlPackets {
  readonly connection: Connection
  #next = 0

  constructor(connection: Connection) {
    this.connection = connection
  }

  async read(): Promise<Buffer> {
    const head = await this.connection.read(4)
    const length = head.readUIntLE(0, 3)
    if (length === 0 || length > LONGEST_PACKET || head[3] !== this.#next) garbled()
    this.#next = (this.#next + 1) & 0xff
    return this.connection.read(length)
  }

  write(body: Buffer): void {
    const head = Buffer.alloc(4)
    head.writeUIntLE(body.length, 0, 3)
    head[3] = this.#next
    this.#next = (this.#next + 1) & 0xff
    this.connection.write(Buffer.concat([head, body]))
  }

  /** A command starts a sequence. */
  restart(): void {
    this.#next = 0
  }
}

export interface Refusal {
  code: number
}

export function refusalOf(packet: Buffer): Refusal | undefined {
  return packet[0] === 0xff && packet.length >= 3 ? { code: packet.readUInt16LE(1) } : undefined
}

export interface Greeting {
  product: 'MySQL' | 'MariaDB'
  version: string
  nonce: Buffer
  plugin: string
  offersTls: boolean
}

/** Protocol::HandshakeV10. @throws ProbeFailure garbled */
export function readGreeting(packet: Buffer): Greeting | { refusal: Refusal } {
  const refusal = refusalOf(packet)
  if (refusal) return { refusal }
  const end = packet.indexOf(0, 1)
  if (packet[0] !== 10 || end < 2 || end > 128 || packet.length < end + 32) garbled()
  const text = packet.toString('latin1', 1, end)
  const version = /^[\w.+~-]+$/.test(text) ? text : garbled()
  let at = end + 5
  const first = packet.subarray(at, at + 8)
  at += 9
  const capabilities = packet.readUInt16LE(at) | (packet.readUInt16LE(at + 5) << 16)
  const length = packet[at + 7] ?? 0
  at += 18
  const second = packet.subarray(at, at + Math.max(12, length - 9))
  const pluginAt = at + Math.max(13, length - 8)
  const plugin = capabilities & CLIENT_PLUGIN_AUTH ? untilZero(packet, pluginAt) : 'mysql_native_password'
  return {
    product: /mariadb/i.test(version) ? 'MariaDB' : 'MySQL',
    version: version.replace(/^5\.5\.5-(?=\d+\.\d+\.\d+-MariaDB)/, ''),
    nonce: Buffer.concat([first, second]).subarray(0, 20),
    plugin,
    offersTls: (capabilities & CLIENT_SSL) !== 0,
  }
}

function untilZero(packet: Buffer, from: number): string {
  const end = packet.indexOf(0, from)
  return packet.toString('latin1', from, end < 0 ? packet.length : end)
}

/** Undefined when it is signed in. In TLS where that is offered, as clients do. @throws ProbeFailure */
export async function signIn(o: {
  packets: MysqlPackets
  greeting: Greeting
  user: string
  password: string
}): Promise<Refusal | undefined> {
  const { packets, greeting, user, password } = o
  const capabilities =
    CLIENT_LONG_PASSWORD |
    CLIENT_PROTOCOL_41 |
    CLIENT_SECURE_CONNECTION |
    CLIENT_PLUGIN_AUTH |
    (greeting.offersTls ? CLIENT_SSL : 0)
  const head = Buffer.alloc(32)
  head.writeUInt32LE(capabilities, 0)
  head.writeUInt32LE(LONGEST_PACKET, 4)
  head[8] = UTF8
  if (greeting.offersTls) {
    packets.write(head)
    await packets.connection.startTls()
  }
  const proof = proofOf(greeting.plugin, password, greeting.nonce)
  const rest = [
    Buffer.from(`${user}\0`),
    Buffer.from([proof.length]),
    proof,
    Buffer.from(`${greeting.plugin}\0`),
  ]
  packets.write(Buffer.concat([head, ...rest]))
  return answer(packets, { plugin: greeting.plugin, nonce: greeting.nonce, password })
}

/** Other ways than these two, such as a socket's owner, are not a stranger's. */
function proofOf(plugin: string, password: string, nonce: Buffer): Buffer {
  if (password === '') return Buffer.alloc(0)
  if (plugin === 'mysql_native_password') {
    const once = hash('sha1', Buffer.from(password))
    return xor(once, hash('sha1', nonce, hash('sha1', once)))
  }
  if (plugin === 'caching_sha2_password') {
    const once = hash('sha256', Buffer.from(password))
    return xor(once, hash('sha256', hash('sha256', once), nonce))
  }
  return Buffer.alloc(0)
}

const MOST_ANSWERS = 6

async function answer(
  packets: MysqlPackets,
  o: { plugin: string; nonce: Buffer; password: string },
): Promise<Refusal | undefined> {
  let { plugin, nonce } = o
  for (let answers = 0; answers < MOST_ANSWERS; answers += 1) {
    const packet = await packets.read()
    const refusal = refusalOf(packet)
    if (refusal) return refusal
    if (packet[0] === 0) return undefined
    if (packet[0] === 0xfe) {
      plugin = untilZero(packet, 1)
      nonce = packet.subarray(plugin.length + 2).subarray(0, 20)
      if (!['mysql_native_password', 'caching_sha2_password'].includes(plugin)) return { code: 0 }
      const proof = proofOf(plugin, o.password, nonce)
      packets.write(proof.length === 0 && plugin === 'caching_sha2_password' ? Buffer.from([0]) : proof)
    } else if (packet[0] === 1 && packet[1] === 4) await sendPassword(packets, nonce, o.password)
    else if (packet[0] !== 1 || packet[1] !== 3) garbled()
  }
  return garbled()
}

/** caching_sha2_password, the full way: as it is inside TLS, encrypted to the server's key otherwise. */
async function sendPassword(packets: MysqlPackets, nonce: Buffer, password: string): Promise<void> {
  const text = Buffer.from(`${password}\0`)
  if (packets.connection.tls) {
    packets.write(text)
    return
  }
  packets.write(Buffer.from([2]))
  const key = (await packets.read()).toString('latin1', 1)
  const hidden = text.map((byte, index) => byte ^ (nonce[index % nonce.length] ?? 0))
  packets.write(publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING }, hidden))
}

function hash(algorithm: 'sha1' | 'sha256', ...parts: Buffer[]): Buffer {
  const digest = createHash(algorithm)
  for (const part of parts) digest.update(part)
  return digest.digest()
}

function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, index) => byte ^ (b[index] ?? 0)))
}
