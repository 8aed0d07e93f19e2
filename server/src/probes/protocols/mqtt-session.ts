import { randomBytes } from 'node:crypto'
import { garbled } from '../failure.ts'
import type { How, Observation } from '../observation.ts'

/** What carries MQTT: a connection, or a WebSocket on one. */
export interface ByteStream {
  write(bytes: Uint8Array): void
  read(count: number): Promise<Buffer>
}

export interface Account {
  user: string
  password: string
}

/** Anonymous, then the accounts that brokers come with. */
export const ACCOUNTS: readonly (Account | undefined)[] = [
  undefined,
  { user: 'guest', password: 'guest' },
  { user: 'admin', password: 'admin' },
  { user: 'admin', password: 'public' },
]

const CONNACK = 2
const PUBLISH = 3
const SUBACK = 9
const PINGREQ = 12
const LONGEST_PACKET = 262_144
const MOST_PACKETS = 500

/** Refused because of who it is, in the numbers of MQTT 3.1.1 and 5. */
const NOT_WELCOME = [4, 5, 0x86, 0x87, 0x8a, 0x8c]
/** Another version, please: 3.1.1, 5. */
const OTHER_VERSION = [1, 0x84]

export type Outcome = Observation | 'other-version'

/**
 * Connects with a clean session and a random client identifier, so that nobody's session is taken over, and subscribes to
 * everything. Messages that come by are not looked at.
 */
export async function observe(
  stream: ByteStream,
  version: 4 | 5,
  account: Account | undefined,
): Promise<Outcome> {
  stream.write(connectPacket(version, account))
  const { type, body } = await read(stream)
  if (type !== CONNACK || body.length < 2) garbled()
  const reason = body[1] ?? 0
  if (OTHER_VERSION.includes(reason)) return 'other-version'
  if (NOT_WELCOME.includes(reason))
    return { verdict: 'protected', evidence: 'asks for credentials', product: 'MQTT broker' }
  if (reason !== 0)
    return { verdict: 'other', evidence: `refuses to connect, with reason ${reason}`, product: 'MQTT broker' }
  stream.write(subscribePacket(version))
  const granted = await grants(stream, version)
  const facts = { product: 'MQTT broker' }
  if (granted.length === 0) {
    return { ...facts, verdict: 'protected', evidence: 'lets strangers connect, and subscribe to nothing' }
  }
  const how: How = account ? 'default-password' : 'no-credentials'
  const who = account ? account.user : 'anybody'
  return { ...facts, verdict: 'open', how, evidence: `lets ${who} subscribe to ${granted.join(' and ')}` }
}

const FILTERS = ['#', '$SYS/#'] as const

async function grants(stream: ByteStream, version: 4 | 5): Promise<string[]> {
  for (let packets = 0; packets < MOST_PACKETS; packets += 1) {
    const { type, body } = await read(stream)
    if (type === SUBACK) {
      // MQTT 5 has properties between the identifier and the codes; the codes are the last two either way.
      const codes = version === 5 ? body.subarray(-FILTERS.length) : body.subarray(2)
      if (body.length < 2 + FILTERS.length) garbled()
      return FILTERS.filter((_, index) => (codes[index] ?? 0x80) < 0x80)
    }
    if (type !== PUBLISH && type !== PINGREQ) garbled()
  }
  return garbled()
}

async function read(stream: ByteStream): Promise<{ type: number; body: Buffer }> {
  const head = (await stream.read(1))[0] ?? 0
  let length = 0
  for (let shift = 0; ; shift += 7) {
    const byte = (await stream.read(1))[0] ?? 0
    length += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) break
    if (shift === 21) garbled()
  }
  const type = head >> 4
  // The kinds that a broker sends here; anything else is somebody else's protocol.
  if (![CONNACK, PUBLISH, SUBACK, PINGREQ, 14].includes(type) || length > LONGEST_PACKET) garbled()
  return { type, body: await stream.read(length) }
}

function connectPacket(version: 4 | 5, account: Account | undefined): Buffer {
  const flags = 0x02 | (account ? 0xc0 : 0)
  const properties = version === 5 ? [0] : []
  return packet(1, 0, [
    text('MQTT'),
    Buffer.from([version, flags, 0, 30, ...properties]),
    text(`probe${randomBytes(8).toString('hex')}`),
    ...(account ? [text(account.user), text(account.password)] : []),
  ])
}

function subscribePacket(version: 4 | 5): Buffer {
  const properties = version === 5 ? [0] : []
  const filters = FILTERS.flatMap((filter) => [text(filter), Buffer.from([0])])
  return packet(8, 2, [Buffer.from([0, 1, ...properties]), ...filters])
}

/** Short ones only: a length of one byte. */
function packet(type: number, flags: number, parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([(type << 4) | flags, body.length]), body])
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([0, bytes.length]), bytes])
}
