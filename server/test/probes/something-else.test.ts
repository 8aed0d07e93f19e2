import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { probes } from '../../src/probes/protocols/list.ts'
import { makeCertificate } from '../support/real-servers/index.ts'
import { type Rooms, startRooms } from '../support/start-rooms.ts'
import { resultOf } from './listeners.ts'

const overHttp = probes.filter(({ http }) => http).map(({ protocol }) => protocol)
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

type Respond = (request: IncomingMessage, response: ServerResponse) => void

/** Gives its port; the server ends with the test. */
async function site(respond: Respond): Promise<number> {
  const server = createServer(respond)
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  closing.push(
    () =>
      new Promise((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      }),
  )
  return (server.address() as AddressInfo).port
}

const always =
  (status: number, headers: Record<string, string>, body: string | Buffer): Respond =>
  (_request, response) =>
    response.writeHead(status, headers).end(body)
const json = { 'content-type': 'application/json' }
const page = { 'content-type': 'text/html' }

const SITES: [string, Respond][] = [
  [
    'a plain web site',
    ({ url }, response) =>
      url === '/'
        ? response.writeHead(200, page).end('<!doctype html><title>Lamps</title>')
        : response.writeHead(404, page).end('<h1>Not found</h1>'),
  ],
  ['a sign-in page for every address', always(200, page, '<form><input type=password></form>')],
  ['a page about ClickHouse, Elasticsearch and goroutine profiles', always(200, page, pageOfNames())],
  ['an API that says {} to everything', always(200, json, '{}')],
  ['an API that says [] to everything', always(200, json, '[]')],
  [
    'an API with counts of its own',
    always(200, json, '{"status":"success","data":[],"count":5,"total":5,"value":1}'),
  ],
  ['an API that says null to everything', always(200, json, 'null')],
  ['an API with a version', always(200, json, '{"name":"lamps","version":{"number":"1.0.0"},"status":"ok"}')],
  [
    'an API that wants a token',
    always(401, { ...json, 'www-authenticate': 'Bearer' }, '{"error":"unauthorized"}'),
  ],
  ['a site behind a password', always(401, { ...page, 'www-authenticate': 'Basic realm="Lamps"' }, 'no')],
  ['a site that forbids everything', always(403, page, '<h1>Forbidden</h1>')],
  ['a feed in XML', always(200, { 'content-type': 'application/xml' }, '<rss><channel></channel></rss>')],
  ['a text', always(200, { 'content-type': 'text/plain' }, '# TYPE of lamp: counter top\nlamps 5\n')],
  ['a text with two fields', always(200, { 'content-type': 'text/plain' }, '5\t1.2\n')],
  [
    'a log of ClickHouse',
    always(200, { 'content-type': 'text/plain' }, 'Code: 516. DB::Exception: no such user\n'),
  ],
  ['an API that found something', always(200, json, '{"status":"success","data":{"result":[1]}}')],
  ['an API with values', always(200, json, '{"value":{"agent":"Lamps","protocol":"1"},"status":200}')],
  [
    'an Elasticsearch that is not ready',
    always(503, { ...json, 'x-elastic-product': 'Elasticsearch' }, '{"status":503}'),
  ],
  ['a server with errors', always(500, page, 'Code: oops')],
]

function pageOfNames(): string {
  return '<p>Code: 516. DB::Exception, OpenSearch Security, "security_exception", You Know, for Search, >goroutine</a>, CouchDB Welcome'
}

describe.each(SITES)('%s', (_name, respond) => {
  it('is something else to every probe', async () => {
    const port = await site(respond)
    for (const protocol of overHttp) {
      const { verdict, evidence } = await resultOf(`${protocol}://127.0.0.1:${port}`)
      expect({ protocol, verdict, evidence }).toMatchObject({ protocol, verdict: 'other' })
    }
    expect(await resultOf(`http://127.0.0.1:${port}`)).toMatchObject({
      verdict: 'other',
      protocol: 'unknown',
    })
  })
})

describe("Hearthlock's own ports", () => {
  let rooms: Rooms
  beforeAll(async () => {
    rooms = await startRooms()
  })
  afterAll(() => rooms?.close())

  it('for people let strangers read nothing', async () => {
    const { port } = new URL(rooms.url)
    for (const protocol of overHttp) {
      const found = await resultOf(`${protocol}://127.0.0.1:${port}`)
      expect(found).toMatchObject({ protocol, verdict: 'other' })
    }
  })

  it('for metrics are open to whoever reaches them', async () => {
    const { port } = new URL(rooms.opsUrl)
    const found = await resultOf(`http://127.0.0.1:${port}`)
    expect(found).toMatchObject({ verdict: 'open', protocol: 'metrics' })
    expect(found.evidence).toMatch(/^read \d{2,} metrics$/)
  })
})

describe('what a server says about where to go', () => {
  it('leads a probe nowhere', async () => {
    const asked: string[] = []
    const elsewhere = await site(({ url }, response) => {
      asked.push(url ?? '')
      response.writeHead(200, json).end('{"cluster_name":"x","version":{"lucene_version":"9"}}')
    })
    const port = await site(({ url }, response) =>
      response.writeHead(302, { location: `http://127.0.0.1:${elsewhere}${url}` }).end(),
    )
    for (const protocol of overHttp) {
      expect(await resultOf(`${protocol}://127.0.0.1:${port}`)).toMatchObject({ verdict: 'other' })
    }
    expect(asked).toEqual([])
  })

  it('is not asked of a proxy of the environment', async () => {
    let proxied = 0
    const proxy = await site((_request, response) => {
      proxied += 1
      response.writeHead(200, json).end('{}')
    })
    const port = await site(always(200, json, '{"couchdb":"Welcome"}'))
    const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy']
    const before = names.map((name) => process.env[name])
    for (const name of names) process.env[name] = `http://127.0.0.1:${proxy}`
    try {
      expect(await resultOf(`couchdb://127.0.0.1:${port}`)).toMatchObject({ product: 'CouchDB' })
    } finally {
      for (const [index, name] of names.entries()) {
        if (before[index] === undefined) delete process.env[name]
        else process.env[name] = before[index]
      }
    }
    expect(proxied).toBe(0)
  })
})

describe('a server in TLS', () => {
  it.each(['hangs up', 'hangs up when it is asked', 'answers what is no HTTP'])(
    'that %s does no harm',
    async (how) => {
      const directory = await mkdtemp(join(tmpdir(), 'hearthlock-tls-'))
      const { certificatePath, keyPath } = await makeCertificate(directory)
      const [cert, key] = await Promise.all([readFile(certificatePath), readFile(keyPath)])
      const server = createTlsServer({ cert, key }, (socket) => {
        socket.on('error', () => {})
        if (how === 'hangs up') socket.destroy()
        else if (how === 'answers what is no HTTP') socket.write('220 lamps at your service\r\n')
        else socket.once('data', () => socket.destroy())
      })
      server.on('tlsClientError', () => {})
      const sockets: Socket[] = []
      server.on('connection', (socket: Socket) => sockets.push(socket))
      await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
      closing.push(() => {
        for (const socket of sockets) socket.destroy()
        return new Promise((closed) => server.close(() => closed()))
      })
      closing.push(() => rm(directory, { recursive: true }))
      const { port } = server.address() as AddressInfo
      for (const protocol of overHttp) {
        const found = await resultOf(`${protocol}://127.0.0.1:${port}`)
        expect(['other', 'silent']).toContain(found.verdict)
      }
    },
  )
})

describe('a body that is too much', () => {
  it('is not unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(200_000_000, ' '))
    expect(bomb.length).toBeLessThan(512 * 1_024)
    const port = await site(always(200, { ...json, 'content-encoding': 'gzip' }, bomb))
    const before = process.memoryUsage().rss
    for (const protocol of overHttp) {
      expect(await resultOf(`${protocol}://127.0.0.1:${port}`)).toMatchObject({ verdict: 'other' })
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(150_000_000)
  })

  it('is left when it does not end', async () => {
    const port = await site((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' })
      const push = () => {
        while (!response.destroyed && response.write('# TYPE lamps counter\nlamps 5\n'.repeat(2_000)));
      }
      response.on('drain', push)
      push()
    })
    for (const protocol of overHttp.filter((each) => each !== 'metrics')) {
      const found = await resultOf(`${protocol}://127.0.0.1:${port}`)
      expect(found).toMatchObject({ protocol, verdict: 'other' })
    }
    // Its first part says enough.
    expect(await resultOf(`metrics://127.0.0.1:${port}`)).toMatchObject({
      ...{ verdict: 'open', evidence: 'read at least 1 metric' },
    })
  })
})
