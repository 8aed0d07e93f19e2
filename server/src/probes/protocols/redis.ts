import type { Connection } from '../connection.ts'
import { garbled, isProbeFailure } from '../failure.ts'
import type { Observation } from '../observation.ts'
import type { Probe } from '../probe.ts'
import type { Target } from '../target.ts'

/** What one line of RESP said (https://redis.io/docs/latest/develop/reference/protocol-spec/). */
type Reply = { kind: 'error' | 'simple' | 'integer'; text: string } | { kind: 'bulk'; text: string }

const LONGEST_LINE = 4_096
const LONGEST_BULK = 65_536

/** Tried where a password is wanted; the images and tutorials that set these are many. */
const DEFAULT_PASSWORDS = ['redis', 'foobared', 'password'] as const

export const redis: Probe = {
  protocol: 'redis',
  aliases: ['rediss', 'valkey', 'valkeys'],
  name: 'Redis, Valkey',
  defaultPorts: [6379, 6380],
  tlsPorts: [6380],
  run: (target) => target.either(ask),
}

async function ask(target: Target, tls: boolean): Promise<Observation> {
  const connection = await target.connect({ tls })
  try {
    const withTls = (seen: Observation) => ({ ...seen, ...(connection.tls && { tls: connection.tls }) })
    return withTls(await observe(connection, (seen) => target.establish(withTls(seen))))
  } finally {
    connection.close()
  }
}

async function observe(connection: Connection, establish: (seen: Observation) => void): Promise<Observation> {
  const size = await command(connection, 'DBSIZE')
  if (size.kind === 'integer') return open(connection, size.text, 'no-credentials')
  if (size.kind !== 'error') garbled()
  if (/^DENIED/.test(size.text)) {
    return {
      verdict: 'protected',
      evidence: 'protected mode: answers its own machine only',
      product: 'Redis',
    }
  }
  if (/^NOPERM/.test(size.text)) return byAclDefaultUser(connection)
  if (!/^(?:NOAUTH|ERR operation not permitted)/.test(size.text)) garbled()
  const locked: Observation = { verdict: 'protected', evidence: 'asks for a password', product: 'Redis' }
  establish(locked)
  for (const password of DEFAULT_PASSWORDS) {
    const answer = await command(connection, 'AUTH', password)
    if (answer.text !== 'OK') continue
    const now = await command(connection, 'DBSIZE')
    return open(connection, now.text, 'default-password')
  }
  return locked
}

/** The default user may do something, but not count. What it may read is asked for one key that is not there. */
async function byAclDefaultUser(connection: Connection): Promise<Observation> {
  const read = await command(connection, 'EXISTS', 'hearthlock-probe')
  if (read.kind === 'integer') {
    return {
      verdict: 'open',
      how: 'anonymous-role',
      evidence: 'the default user reads keys',
      product: 'Redis',
    }
  }
  return { verdict: 'protected', evidence: 'the default user may read nothing', product: 'Redis' }
}

async function open(
  connection: Connection,
  keys: string,
  how: 'no-credentials' | 'default-password',
): Promise<Observation> {
  const version = await versionOf(connection)
  const count = /^\d{1,19}$/.test(keys) ? `${keys} keys` : 'keys'
  return { verdict: 'open', how, evidence: `counted ${count}`, ...version }
}

async function versionOf(connection: Connection): Promise<{ product: string; version?: string }> {
  try {
    const { text } = await command(connection, 'INFO', 'server')
    const product = /^server_name:valkey/m.test(text) ? 'Valkey' : 'Redis'
    const version = /^(?:valkey|redis)_version:([\w.-]{1,32})/m.exec(text)?.[1]
    return { product, ...(version !== undefined && { version }) }
  } catch (error) {
    // Renamed or denied: that it is open has been seen.
    if (isProbeFailure(error)) return { product: 'Redis' }
    throw error
  }
}

async function command(connection: Connection, ...words: string[]): Promise<Reply> {
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`)
  connection.write(`*${words.length}\r\n${parts.join('')}`)
  const line = (await connection.readUntil('\r\n', LONGEST_LINE)).toString('utf8').slice(0, -2)
  const text = line.slice(1)
  switch (line[0]) {
    case '-':
      return { kind: 'error', text }
    case '+':
      return { kind: 'simple', text }
    case ':':
      return /^-?\d+$/.test(text) ? { kind: 'integer', text } : garbled()
    case '$':
      return { kind: 'bulk', text: await bulk(connection, text) }
    default:
      return garbled()
  }
}

async function bulk(connection: Connection, length: string): Promise<string> {
  if (length === '-1') return ''
  const count = /^\d{1,6}$/.test(length) ? Number(length) : garbled()
  if (count > LONGEST_BULK) garbled()
  const text = await connection.read(count + 2)
  return text.subarray(0, count).toString('utf8')
}
