import { isIPv6 } from 'node:net'
import type { Connection } from './connection.ts'
import { garbled, isProbeFailure } from './failure.ts'
import type { TlsFacts } from './observation.ts'
import type { Target } from './target.ts'

export interface HttpRequest {
  method?: 'GET' | 'HEAD' | 'POST'
  path: string
  headers?: Record<string, string>
  body?: string
  /** Of the answer's body; what comes after is left unread. */
  atMostBytes?: number
}

export interface HttpAnswer {
  status: number
  /** Names in lower case. */
  headers: Record<string, string>
  body: Buffer
  /** Whether there was more than was read. */
  truncated: boolean
  tls: TlsFacts | undefined
  /** The body as JSON; undefined when it is none, or was not read to its end. */
  json(): unknown
}

/** HTTP at one address. Redirects are answers like any other, nothing is decompressed, and no proxy is used. */
export interface Http {
  /** The answer to the first request. */
  readonly first: HttpAnswer
  readonly tls: boolean
  /** @throws ProbeFailure */
  request(request: HttpRequest): Promise<HttpAnswer>
}

const HEAD_BYTES = 32_768
const BODY_BYTES = 65_536
const INTERIM_ANSWERS = 3
/** What servers answer in clear where they speak TLS (nginx, Apache, Go, Netty). */
const WANTS_TLS = /HTTPS (?:port|server)|SSL-enabled|TLS port|requires TLS/i
/** What ports of other protocols answer to HTTP, in HTTP: ClickHouse's and MongoDB's native ones, and a cluster's transport. */
const NO_HTTP_HERE = /is for clickhouse-client program|access MongoDB over HTTP|This is not a HTTP port/

/** Finds out whether HTTP is spoken in clear or in TLS. @throws ProbeFailure garbled when it is not HTTP */
export async function openHttp(target: Target, first: HttpRequest = { path: '/' }): Promise<Http> {
  const answered = await target.either(async (each, tls) => {
    const answer = await requestOnce(each, tls, first)
    if (!tls && answer.status === 400 && WANTS_TLS.test(answer.body.toString('latin1'))) garbled()
    return { tls, answer }
  })
  return {
    first: answered.answer,
    tls: answered.tls,
    request: (request) => requestOnce(target, answered.tls, request),
  }
}

/** HTTP Basic (RFC 7617). */
export function basic(user: string, password: string): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }
}

async function requestOnce(target: Target, tls: boolean, request: HttpRequest): Promise<HttpAnswer> {
  const connection = await target.connect(tls ? { tls, alpnProtocols: ['http/1.1'] } : {})
  try {
    connection.write(requestHead(target, request) + (request.body ?? ''))
    const answer = await readAnswer(connection, request)
    if (NO_HTTP_HERE.test(answer.body.toString('latin1', 0, 1_024))) garbled()
    return answer
  } finally {
    connection.close()
  }
}

function requestHead(target: Target, { method = 'GET', path, headers = {}, body }: HttpRequest): string {
  const host = isIPv6(target.host) ? `[${target.host}]` : target.host
  const lines = {
    host: `${host}:${target.port}`,
    'user-agent': 'hearthlock-probe',
    accept: 'application/json, */*;q=0.5',
    'accept-encoding': 'identity',
    connection: 'close',
    ...(body !== undefined && {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
    }),
    ...headers,
  }
  const fields = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\n${fields.join('')}\r\n`
}

/** RFC 9112, as much of it as a reader of one answer needs. */
async function readAnswer(connection: Connection, request: HttpRequest): Promise<HttpAnswer> {
  const { status, headers } = await readHead(connection)
  const atMost = request.atMostBytes ?? BODY_BYTES
  const none = request.method === 'HEAD' || status === 204 || status === 304
  const { body, truncated } = none
    ? { body: Buffer.alloc(0), truncated: false }
    : await readBody(connection, headers, atMost)
  return {
    status,
    headers,
    body,
    truncated,
    tls: connection.tls,
    json() {
      if (truncated) return undefined
      try {
        return JSON.parse(body.toString('utf8'))
      } catch {
        return undefined
      }
    },
  }
}

async function readHead(
  connection: Connection,
): Promise<{ status: number; headers: Record<string, string> }> {
  for (let answers = 0; answers <= INTERIM_ANSWERS; answers += 1) {
    // Whatever is not HTTP is told by its first bytes, not after 32 KiB.
    const start = await connection.read(5)
    if (start.toString('latin1') !== 'HTTP/') garbled()
    const head = (await connection.readUntil('\r\n\r\n', HEAD_BYTES)).toString('latin1')
    const status = Number(/^\d\.\d (\d{3})(?: |\r\n)/.exec(head)?.[1] ?? garbled())
    if (status >= 200 || status === 101) return { status, headers: headersOf(head) }
  }
  return garbled()
}

function headersOf(head: string): Record<string, string> {
  const headers: Record<string, string> = Object.create(null)
  for (const line of head.split('\r\n').slice(1)) {
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
  }
  return headers
}

async function readBody(connection: Connection, headers: Record<string, string>, atMost: number) {
  if (/\bchunked\b/i.test(headers['transfer-encoding'] ?? '')) return readChunks(connection, atMost)
  const length = headers['content-length']
  if (length !== undefined && /^\d{1,15}$/.test(length)) {
    const body = await connection.read(Math.min(Number(length), atMost))
    return { body, truncated: Number(length) > atMost }
  }
  return readToEnd(connection, atMost)
}

async function readChunks(connection: Connection, atMost: number) {
  const parts: Buffer[] = []
  let left = atMost
  for (;;) {
    const line = (await connection.readUntil('\r\n', 1_024)).toString('latin1')
    const size = Number.parseInt(line, 16)
    if (!Number.isSafeInteger(size) || size < 0) garbled()
    if (size === 0) return { body: Buffer.concat(parts), truncated: false }
    if (size > left) {
      parts.push(await connection.read(left))
      return { body: Buffer.concat(parts), truncated: true }
    }
    parts.push(await connection.read(size))
    left -= size
    await connection.read(2)
  }
}

async function readToEnd(connection: Connection, atMost: number) {
  const parts: Buffer[] = []
  let length = 0
  try {
    while (length <= atMost) {
      const part = await connection.readSome()
      parts.push(part)
      length += part.length
    }
  } catch (error) {
    if (!isProbeFailure(error, 'closed')) throw error
    return { body: Buffer.concat(parts).subarray(0, atMost), truncated: false }
  }
  return { body: Buffer.concat(parts).subarray(0, atMost), truncated: true }
}
