import type { Connection } from '../connection.ts'
import { garbled, isProbeFailure } from '../failure.ts'
import type { Observation } from '../observation.ts'
import type { Probe } from '../probe.ts'
import type { Target } from '../target.ts'

/** https://docs.memcached.org/protocols/basic/ */
export const memcached: Probe = {
  protocol: 'memcached',
  aliases: ['memcache'],
  name: 'Memcached',
  defaultPorts: [11211],
  run: (target) => target.either(ask),
}

/** Longer than the binary protocol's head: who speaks only that sees at once that this is not it, and hangs up. */
const QUESTION = 'stats\r\nget hearthlock-probe\r\n'
const LONGEST_LINE = 2_048
const MOST_LINES = 500

async function ask(target: Target, tls: boolean): Promise<Observation> {
  const connection = await target.connect({ tls })
  const withTls = () => connection.tls && { tls: connection.tls }
  try {
    connection.write(QUESTION)
    return { ...(await observe(connection)), ...withTls() }
  } catch (error) {
    // With SASL only the binary protocol is spoken, and text is hung up on.
    if (!isProbeFailure(error, 'closed')) throw error
    return await askForSasl(target, tls)
  } finally {
    connection.close()
  }
}

async function observe(connection: Connection): Promise<Observation> {
  const stats = new Map<string, string>()
  for (let lines = 0; lines < MOST_LINES; lines += 1) {
    const line = (await connection.readUntil('\r\n', LONGEST_LINE)).toString('latin1').trimEnd()
    if (line === 'CLIENT_ERROR unauthenticated') {
      return { verdict: 'protected', evidence: 'asks for credentials', product: 'Memcached' }
    }
    if (line === 'END') return read(connection, stats)
    const [, name, value] = /^STAT (\S+) (.*)$/.exec(line) ?? garbled()
    if (name !== undefined) stats.set(name, value ?? '')
  }
  return garbled()
}

/** Statistics may be all that is let out: a key that nobody has proves that keys are read. */
async function read(connection: Connection, stats: Map<string, string>): Promise<Observation> {
  const version = stats.get('version')
  const items = stats.get('curr_items') ?? ''
  if (!version || !/^[\w.-]{1,32}$/.test(version) || !/^\d{1,19}$/.test(items)) garbled()
  const line = (await connection.readUntil('\r\n', LONGEST_LINE)).toString('latin1')
  if (!/^(?:END|VALUE )/.test(line)) garbled()
  const facts = { product: 'Memcached', version }
  return { ...facts, verdict: 'open', how: 'no-credentials', evidence: `counted ${items} items` }
}

const REQUEST = 0x80
const RESPONSE = 0x81
const STAT = 0x10
const AUTHENTICATION_WANTED = 0x20

/** The binary protocol's `stat`, whose refusal says why. */
async function askForSasl(target: Target, tls: boolean): Promise<Observation> {
  const connection = await target.connect({ tls })
  try {
    const request = Buffer.alloc(24)
    request[0] = REQUEST
    request[1] = STAT
    connection.write(request)
    const head = await connection.read(24)
    if (head[0] !== RESPONSE || head[1] !== STAT) garbled()
    if (head.readUInt16BE(6) !== AUTHENTICATION_WANTED) garbled()
    const facts = { product: 'Memcached', ...(connection.tls && { tls: connection.tls }) }
    return { ...facts, verdict: 'protected', evidence: 'asks for credentials (SASL)' }
  } finally {
    connection.close()
  }
}
