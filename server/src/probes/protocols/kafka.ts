import { randomInt } from 'node:crypto'
import type { Connection } from '../connection.ts'
import { garbled, isProbeFailure } from '../failure.ts'
import type { How, Observation } from '../observation.ts'
import type { Probe } from '../probe.ts'
import type { Target } from '../target.ts'

/** https://kafka.apache.org/protocol: brokers that are named in answers are never contacted. */
export const kafka: Probe = {
  protocol: 'kafka',
  name: 'Kafka',
  defaultPorts: [9092, 9093, 9094],
  run: (target) => target.either(observe),
}

const API = { metadata: 3, saslHandshake: 17, apiVersions: 18, saslAuthenticate: 36 } as const
const LONGEST_ANSWER = 4 * 1_024 * 1_024
const MOST_BROKERS = 1_000
const MOST_TOPICS = 1_000_000
/** Version 8 tells what the asker may do; what came before it does not. */
const METADATA = { newest: 8, oldest: 1 } as const
/** Of the project's documentation and of a widely used image. */
const DEFAULT_ACCOUNTS = [
  { user: 'admin', password: 'admin-secret' },
  { user: 'user', password: 'bitnami' },
] as const

interface Account {
  user: string
  password: string
}

async function observe(target: Target, tls: boolean): Promise<Observation> {
  const connection = await target.connect({ tls })
  const facts = () => ({ product: 'Kafka', ...(connection.tls && { tls: connection.tls }) })
  let version: number
  try {
    version = await metadataVersion(connection)
    try {
      return { ...facts(), ...(await metadata(connection, version, 'no-credentials')) }
    } catch (error) {
      // A listener with SASL answers which versions it speaks, and hangs up on anything else.
      if (!isProbeFailure(error, 'closed')) throw error
    }
  } finally {
    connection.close()
  }
  return withSasl(target, tls, version, facts())
}

async function withSasl(
  target: Target,
  tls: boolean,
  version: number,
  facts: Pick<Observation, 'product' | 'tls'>,
): Promise<Observation> {
  const mechanisms = await saslMechanisms(target, tls)
  const evidence = `asks for credentials (SASL ${mechanisms.join(', ')})`
  const locked: Observation = { ...facts, verdict: 'protected', evidence }
  target.establish(locked)
  if (mechanisms.includes('PLAIN')) {
    for (const account of DEFAULT_ACCOUNTS) {
      const opened = await signedIn(target, tls, version, account)
      if (opened?.verdict === 'open') return { ...facts, ...opened }
    }
  }
  return locked
}

async function metadataVersion(connection: Connection): Promise<number> {
  const answer = await ask(connection, API.apiVersions, 0, Buffer.alloc(0))
  if ((await answer.int16()) !== 0) garbled()
  const count = await answer.int32()
  if (count < 1 || count > 500) garbled()
  let range: { oldest: number; newest: number } | undefined
  for (let index = 0; index < count; index += 1) {
    const key = await answer.int16()
    const oldest = await answer.int16()
    const newest = await answer.int16()
    if (key === API.metadata) range = { oldest, newest }
  }
  const version = Math.min(METADATA.newest, range?.newest ?? garbled())
  if (version < METADATA.oldest || range === undefined || version < range.oldest) garbled()
  return version
}

/** All topics, none created. What is read of the answer is its beginning: how many brokers and topics. */
async function metadata(connection: Connection, version: number, how: How): Promise<Observation> {
  const flags = version >= 8 ? [0, 1, 0] : version >= 4 ? [0] : []
  const answer = await ask(connection, API.metadata, version, Buffer.from([0xff, 0xff, 0xff, 0xff, ...flags]))
  if (version >= 3) await answer.int32()
  const brokers = await answer.int32()
  if (brokers < 0 || brokers > MOST_BROKERS) garbled()
  for (let index = 0; index < brokers; index += 1) {
    await answer.int32()
    await answer.string()
    await answer.int32()
    await answer.string()
  }
  if (version >= 2) await answer.string()
  await answer.int32()
  const topics = await answer.int32()
  if (topics < 0 || topics > MOST_TOPICS) garbled()
  // No topic at all: there is none, or strangers are shown none.
  if (topics === 0 && version >= 8 && (await answer.int32()) === 0) {
    return { verdict: 'protected', evidence: 'lets strangers connect, and shows them no topic' }
  }
  return { verdict: 'open', how, evidence: `counted ${topics} topics on ${brokers} brokers` }
}

/** Asks for a mechanism that there is not; the refusal lists those that there are. */
async function saslMechanisms(target: Target, tls: boolean): Promise<string[]> {
  const connection = await target.connect({ tls })
  try {
    const answer = await ask(connection, API.saslHandshake, 1, string('NONE'))
    await answer.int16()
    const count = await answer.int32()
    if (count < 0 || count > 20) garbled()
    const mechanisms: string[] = []
    for (let index = 0; index < count; index += 1) mechanisms.push(await answer.string())
    return mechanisms.every((name) => /^[A-Z0-9-_]{1,20}$/.test(name)) ? mechanisms : garbled()
  } finally {
    connection.close()
  }
}

async function signedIn(
  target: Target,
  tls: boolean,
  version: number,
  { user, password }: Account,
): Promise<Observation | undefined> {
  const connection = await target.connect({ tls })
  try {
    const handshake = await ask(connection, API.saslHandshake, 1, string('PLAIN'))
    if ((await handshake.int16()) !== 0) return undefined
    await handshake.skipRest()
    const token = Buffer.from(`\0${user}\0${password}`)
    const size = Buffer.alloc(4)
    size.writeInt32BE(token.length)
    const answer = await ask(connection, API.saslAuthenticate, 0, Buffer.concat([size, token]))
    if ((await answer.int16()) !== 0) return undefined
    await answer.skipRest()
    return await metadata(connection, version, 'default-password')
  } catch (error) {
    if (isProbeFailure(error, 'closed')) return undefined
    throw error
  } finally {
    connection.close()
  }
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([int16(bytes.length), bytes])
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

/** An answer that is read field by field, never as a whole. */
interface Answer {
  int16(): Promise<number>
  int32(): Promise<number>
  /** Also one that may be null. */
  string(): Promise<string>
  skipRest(): Promise<void>
}

async function ask(connection: Connection, key: number, version: number, body: Buffer): Promise<Answer> {
  const correlation = randomInt(1, 0x7fffffff)
  const head = Buffer.alloc(12)
  head.writeInt16BE(key, 4)
  head.writeInt16BE(version, 6)
  head.writeInt32BE(correlation, 8)
  const request = Buffer.concat([head, string('hearthlock-probe'), body])
  request.writeInt32BE(request.length - 4, 0)
  connection.write(request)
  const answerHead = await connection.read(8)
  const length = answerHead.readInt32BE(0)
  if (length < 4 || length > LONGEST_ANSWER || answerHead.readInt32BE(4) !== correlation) garbled()
  let left = length - 4
  const read = (count: number) => {
    left -= count
    return left < 0 ? garbled() : connection.read(count)
  }
  return {
    int16: async () => (await read(2)).readInt16BE(0),
    int32: async () => (await read(4)).readInt32BE(0),
    async string() {
      const size = (await read(2)).readInt16BE(0)
      return size < 0 ? '' : (await read(size)).toString('utf8')
    },
    async skipRest() {
      await read(left)
    },
  }
}
