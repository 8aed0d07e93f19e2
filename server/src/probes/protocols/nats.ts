import type { Connection } from '../connection.ts'
import { garbled } from '../failure.ts'
import type { Observation } from '../observation.ts'
import type { Probe } from '../probe.ts'
import type { Target } from '../target.ts'

/** https://docs.nats.io/reference/reference-protocols/nats-protocol */
export const nats: Probe = {
  protocol: 'nats',
  aliases: ['tls+nats'],
  name: 'NATS',
  defaultPorts: [4222],
  greets: (banner) => banner.subarray(0, 6).toString('latin1').startsWith('INFO {'),
  run: observe,
}

const LONGEST_LINE = 16_384
const MOST_LINES = 200
/** Every subject there is. */
const SUBSCRIBE = 'SUB > 1\r\nPING\r\n'

interface Info {
  version?: unknown
  tls_required?: unknown
  tls_available?: unknown
}

async function observe(target: Target): Promise<Observation> {
  const connection = await target.connect()
  try {
    const info = await readInfo(connection)
    if (info.tls_required === true || info.tls_available === true) await connection.startTls()
    const version =
      typeof info.version === 'string' && /^[\w.-]{1,32}$/.test(info.version) ? info.version : undefined
    const facts = () => ({
      product: 'NATS',
      ...(version !== undefined && { version }),
      ...(connection.tls && { tls: connection.tls }),
    })
    connection.write(
      'CONNECT {"verbose":false,"pedantic":false,"tls_required":false,"name":"","lang":"","version":"","protocol":1}\r\nPING\r\n',
    )
    const refusal = await untilPong(connection)
    if (refusal !== undefined) return { ...facts(), verdict: 'protected', evidence: refusal }
    connection.write(SUBSCRIBE)
    const denied = await untilPong(connection)
    if (denied !== undefined) {
      return {
        ...facts(),
        verdict: 'protected',
        evidence: 'lets strangers connect, and not subscribe to everything',
      }
    }
    return {
      ...facts(),
      verdict: 'open',
      how: 'no-credentials',
      evidence: 'lets strangers subscribe to every subject',
    }
  } finally {
    connection.close()
  }
}

async function readInfo(connection: Connection): Promise<Info> {
  const start = (await connection.read(6)).toString('latin1')
  if (start !== 'INFO {') garbled()
  const rest = (await connection.readUntil('\r\n', LONGEST_LINE)).toString('utf8')
  const info: unknown = JSON.parse(`{${rest}`)
  return typeof info === 'object' && info !== null ? info : garbled()
}

/** Undefined at PONG, a refusal's kind otherwise. Messages that come by meanwhile are passed over. */
async function untilPong(connection: Connection): Promise<string | undefined> {
  for (let lines = 0; lines < MOST_LINES; lines += 1) {
    const line = (await connection.readUntil('\r\n', LONGEST_LINE)).toString('latin1').trimEnd()
    if (line === 'PONG') return undefined
    if (/^-ERR '(?:Authorization Violation|Authentication|User Authentication)/i.test(line))
      return 'asks for credentials'
    if (/^-ERR '(?:Permissions Violation|Secure Connection)/i.test(line)) return 'refuses strangers'
    const size = /^MSG \S+ \S+ (?:\S+ )?(\d{1,7})$/.exec(line)?.[1] ?? /^HMSG .* (\d{1,7})$/.exec(line)?.[1]
    if (size !== undefined) await connection.read(Number(size) + 2)
    else if (line === 'PING') connection.write('PONG\r\n')
    else if (!/^(?:\+OK|INFO \{)/.test(line)) garbled()
  }
  return garbled()
}
