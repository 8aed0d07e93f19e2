import { type IncomingHttpHeaders, request } from 'node:http'
import { get } from 'node:https'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createApi } from '../../src/api/index.ts'
import type { Client } from '../../src/client/index.ts'
import { createLog, Secret } from '../../src/core/index.ts'
import { newCustomer, type Rooms, startRooms } from '../support/start-rooms.ts'

const json = { 'content-type': 'application/json' }

describe('the HTTP server', () => {
  let rooms: Rooms
  let ada: Client
  const lines: string[] = []

  beforeAll(async () => {
    rooms = await startRooms({
      log: createLog({ destination: { write: (line) => lines.push(line) } }),
      replace: ({ home }) => ({
        home: {
          ...home,
          device: async () => {
            throw new TypeError('the value ada@example.org is not iterable')
          },
        },
      }),
    })
    ada = await newCustomer(rooms)
  })
  afterAll(() => rooms.close())

  it('private answers and refusals are kept by no cache; what is public may be', async () => {
    for (const path of ['/v1/me', '/v1/nowhere', '/oauth/nowhere', '/nowhere'])
      expect((await fetch(rooms.url + path)).headers.get('cache-control')).toMatch(/no-store/)
    for (const path of ['/v1/openapi.json', '/v1/device-authority'])
      expect((await fetch(rooms.url + path)).headers.get('cache-control')).toMatch(/^public/)
  })

  it('every answer tells browsers to run nothing of it', async () => {
    for (const path of ['/healthz', '/v1/me', '/nowhere']) {
      const { headers } = await fetch(rooms.url + path)
      expect(headers.get('content-security-policy')).toMatch(/default-src 'none'/)
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('access-control-allow-origin')).toBeNull()
    }
  })

  it('an unexpected error says nothing but a number, which the log has too, without values', async () => {
    const path = '/v1/devices/0f8fad5b-d9cb-469f-a165-70867728950e'
    const error = await ada.request('GET', path).catch((caught) => caught)
    expect(error).toMatchObject({ code: 'internal', status: 500 })
    const line = lines.find((text) => text.includes('a request failed'))
    expect(line).toContain('/v1/devices/:deviceId')
    expect(JSON.parse(line ?? '{}').instance).toMatch(/^[0-9a-f-]{36}$/)
    expect(lines.join('')).not.toContain('ada@example.org')
    expect(lines.join('')).not.toContain('0f8fad5b')
  })

  it('an unexpected error is a bare problem', async () => {
    const failing = await startRooms({
      replace: ({ identity }) => ({
        identity: {
          ...identity,
          signUp: async () => {
            throw new TypeError('private')
          },
        },
      }),
    })
    try {
      const body = JSON.stringify({ email: 'a@b.example', name: 'A', password: 'long enough words' })
      const response = await fetch(`${failing.url}/v1/sign-up`, { method: 'POST', headers: json, body })
      expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
      expect(await response.json()).toEqual({
        type: 'urn:hearthlock:error:internal',
        title: expect.any(String),
        status: 500,
        code: 'internal',
        instance: expect.stringMatching(/^urn:uuid:/),
      })
    } finally {
      await failing.close()
    }
  })

  it.each([
    [
      'an unknown property',
      { email: 'a@b.example', name: 'A', password: 'long enough words', role: 'owner' },
    ],
    ['a missing property', { email: 'a@b.example', password: 'long enough words' }],
    ['a number for a text', { email: 'a@b.example', name: 7, password: 'long enough words' }],
    ['control characters', { email: 'a@b.example', name: 'A\u0000', password: 'long enough words' }],
    ['only white space', { email: 'a@b.example', name: '   ', password: 'long enough words' }],
    ['a list', []],
    ['null', null],
  ])('a body with %s is refused, naming the place and not the value', async (_what, body) => {
    const response = await fetch(`${rooms.url}/v1/sign-up`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify(body),
    })
    expect(response.status).toBe(400)
    const problem = (await response.json()) as { code: string; detail: string }
    expect(problem.code).toBe('invalid_request')
    expect(problem.detail).toMatch(/^body/)
    expect(problem.detail).not.toContain('long enough words')
  })

  it.each([
    ['no JSON', json, '{', 400, 'invalid_request'],
    ['a poisoned prototype', json, '{"__proto__":{"admin":true}}', 400, 'invalid_request'],
    ['another media type', { 'content-type': 'text/plain' }, '{}', 415, 'unsupported_media_type'],
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }, 'a=b', 415, 'unsupported_media_type'],
    ['more than 64 KiB', json, JSON.stringify({ name: 'x'.repeat(70_000) }), 413, 'too_large'],
  ])('%s is refused', async (_what, headers, body, status, code) => {
    const response = await fetch(`${rooms.url}/v1/sign-up`, { method: 'POST', headers, body })
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ code, status })
  })

  it.each([
    ['limit=0', 400],
    ['limit=201', 400],
    ['limit=ten', 400],
    ['limit=1e1', 400],
    ['limit=+5', 400],
    ['limit=5&limit=6', 400],
    ['before=-1', 400],
    ['unknown=1', 400],
    ['limit=5&before=7', 404],
  ])('a query of %s answers %i', async (query, status) => {
    const path = `/v1/devices/0f8fad5b-d9cb-469f-a165-70867728950e/timeline?${query}`
    await expect(ada.request('GET', path)).rejects.toMatchObject({ status })
  })

  it.each(['not-an-id', '0F8FAD5B-D9CB-469F-A165-70867728950E', '%00', 'a'.repeat(100)])(
    'an id that is none (%s) is refused',
    async (id) => {
      await expect(ada.request('GET', `/v1/commands/${id}`)).rejects.toMatchObject({
        code: 'invalid_request',
      })
    },
  )

  it('a URL that cannot be decoded is refused, and so are headers beyond the limit', async () => {
    expect((await fetch(`${rooms.url}/v1/commands/%zz`)).status).toBe(400)
    const headers = { 'x-filler': 'x'.repeat(20_000) }
    expect((await fetch(`${rooms.url}/healthz`, { headers })).status).toBe(431)
  })

  it('what is not HTTP is answered shortly and cut', async () => {
    const { port } = new URL(rooms.url)
    const socket = connect(Number(port), '127.0.0.1')
    let text = ''
    socket.on('data', (bytes) => {
      text += bytes
    })
    socket.write('\u0016\u0003\u0001 nonsense\r\n\r\n')
    await vi.waitFor(() => expect(socket.closed).toBe(true))
    expect(text).toMatch(/^HTTP\/1.1 400 Bad Request\r\n/)
  })

  it('a request that does not arrive in time is cut, also where the body is still to come', async () => {
    const hasty = await startRooms({ limits: { requestSeconds: 1 } })
    try {
      const { port } = new URL(hasty.url)
      for (const begun of [
        '',
        'GET /healthz HTTP/1.1\r\nhost:',
        'POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n',
      ]) {
        const socket = connect(Number(port), '127.0.0.1')
        socket.resume()
        socket.write(begun)
        await vi.waitFor(() => expect(socket.closed).toBe(true), { timeout: 10_000 })
      }
    } finally {
      await hasty.close()
    }
  })

  it('an address that asks too much must wait, and a forged X-Forwarded-For does not help', async () => {
    const strict = await startRooms({ limits: { requestsPerMinutePerAddress: 2 } })
    try {
      const statuses: number[] = []
      for (let n = 0; n < 3; n += 1) {
        const headers = { 'x-forwarded-for': `192.0.2.${n}` }
        statuses.push((await fetch(`${strict.url}/healthz`, { headers })).status)
      }
      expect(statuses).toEqual([200, 200, 429])
    } finally {
      await strict.close()
    }
  })

  it('a trusted proxy may say for whom it asks', async () => {
    const behind = await startRooms({
      limits: { requestsPerMinutePerAddress: 1 },
      api: { trustedProxies: ['127.0.0.1'] },
    })
    try {
      const ask = async (address: string) =>
        (await fetch(`${behind.url}/healthz`, { headers: { 'x-forwarded-for': address } })).status
      expect([await ask('192.0.2.1'), await ask('192.0.2.2'), await ask('192.0.2.1')]).toEqual([
        200, 200, 429,
      ])
    } finally {
      await behind.close()
    }
  })
})

describe('behind a trusted proxy', () => {
  const from: (string | undefined)[] = []
  let rooms: Rooms
  beforeAll(async () => {
    rooms = await startRooms({
      limits: { requestsPerMinutePerAddress: 2, connectionsPerAddress: 1 },
      api: { trustedProxies: ['127.0.0.0/30'] },
      replace: ({ identity }) => ({
        identity: {
          ...identity,
          handleOAuth(req, res, caller) {
            from.push(caller?.remoteAddress)
            identity.handleOAuth(req, res, caller)
          },
        },
      }),
    })
  })
  afterAll(() => rooms.close())

  const ask = async (address: string, path = '/healthz') =>
    (await fetch(rooms.url + path, { headers: { 'x-forwarded-for': address } })).status

  it('the limits of the sign-in see the address that all others see', async () => {
    // What the caller wrote before the proxy's own word counts for nothing.
    await ask('203.0.113.9, 192.0.2.77', '/oauth/jwks')
    expect(from).toEqual(['192.0.2.77'])
  })

  it('an IPv6 network counts as one address', async () => {
    const statuses: number[] = []
    for (const host of ['1', '2', 'ffff:3']) statuses.push(await ask(`2001:db8:1:2::${host}`))
    expect(statuses).toEqual([200, 200, 429])
    expect(await ask('2001:db8:1:3::1')).toBe(200)
  })

  it('the connections of one address are bounded, those of the proxy are not', async () => {
    const port = Number(new URL(rooms.url).port)
    const open = async (localAddress: string) => {
      const socket = connect({ port, host: '127.0.0.1', localAddress })
      onTestFinished(() => void socket.destroy())
      socket.on('error', () => {})
      socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')
      return await new Promise((resolve) => {
        socket.once('data', () => resolve('answered'))
        socket.once('close', () => resolve('closed'))
      })
    }
    for (let n = 0; n < 3; n += 1) expect(await open('127.0.0.2')).toBe('answered')
    expect([await open('127.0.0.66'), await open('127.0.0.66')]).toEqual(['answered', 'closed'])
    expect(await open('127.0.0.77')).toBe('answered')
  })
})

describe('starting and stopping', () => {
  let rooms: Rooms
  beforeAll(async () => {
    rooms = await startRooms()
  })
  afterAll(() => rooms.close())

  const apiOn = (o: { host: string; port?: number; ops?: string }) =>
    createApi({
      ...rooms,
      clock: { nowMs: () => 0 },
      log: createLog({ level: 'silent' }),
      listen: { host: o.host, port: o.port ?? 0 },
      ops: o.ops === undefined ? undefined : { host: o.ops, port: 0 },
      ready: () => true,
      stats: () => ({}),
    })

  it.each(['0.0.0.0', '::', '192.0.2.1', 'example.org'])(
    'without TLS it does not listen on %s, nor does the metrics listener',
    async (host) => {
      await expect(apiOn({ host }).start()).rejects.toMatchObject({ code: 'start_refused' })
      await expect(apiOn({ host: '127.0.0.1', ops: host }).start()).rejects.toMatchObject({
        code: 'start_refused',
      })
    },
  )

  it('a port that is taken is named', async () => {
    const port = Number(new URL(rooms.url).port)
    await expect(apiOn({ host: '127.0.0.1', port }).start()).rejects.toMatchObject({
      code: 'start_refused',
      message: `Port ${port} of 127.0.0.1 is taken.`,
    })
  })

  it('a certificate that is none refuses the start', async () => {
    const api = createApi({
      ...rooms,
      clock: { nowMs: () => 0 },
      log: createLog({ level: 'silent' }),
      listen: { host: '127.0.0.1', port: 0, tls: { cert: 'no', key: new Secret('no') } },
      ready: () => true,
      stats: () => ({}),
    })
    await expect(api.start()).rejects.toMatchObject({ code: 'start_refused' })
  })

  it('with TLS it tells browsers to come back by TLS only', async () => {
    const { certificatePem, privateKeyPem } = await rooms.registry.serverIdentity(['localhost'])
    const api = createApi({
      ...rooms,
      clock: { nowMs: () => 0 },
      log: createLog({ level: 'silent' }),
      listen: { host: '127.0.0.1', port: 0, tls: { cert: certificatePem, key: privateKeyPem } },
      ready: () => true,
      stats: () => ({}),
    })
    const { url } = await api.start()
    expect(url).toMatch(/^https:/)
    const headers = await new Promise<IncomingHttpHeaders>((resolve, reject) => {
      get(`${url}/healthz`, { ca: rooms.registry.authorityCertificate() }, (response) => {
        response.resume()
        resolve(response.headers)
      }).on('error', reject)
    })
    expect(headers['strict-transport-security']).toMatch(/max-age=\d{8}/)
    await api.close()
  })

  it('closing ends live streams and lets nobody wait', async () => {
    const closing = await startRooms()
    const ada = await newCustomer(closing)
    const { householdId } = await ada.request<{ householdId: string }>('POST', '/v1/households', {
      body: { name: 'Home' },
    })
    const stop = new AbortController()
    const ready = vi.fn()
    const watching = ada.live(householdId, () => {}, stop.signal, { onReady: ready })
    await vi.waitFor(() => expect(ready).toHaveBeenCalled(), 5000)
    await closing.close()
    stop.abort()
    await watching
    await expect(fetch(`${closing.url}/healthz`)).rejects.toThrow()
  })
})

describe('what operators’ tools read', () => {
  let rooms: Rooms
  let isReady = true
  beforeAll(async () => {
    rooms = await startRooms({ api: { ready: () => isReady } })
  })
  afterAll(() => rooms.close())

  it('alive and ready are two questions, on both listeners', async () => {
    for (const base of [rooms.url, rooms.opsUrl]) {
      isReady = true
      expect((await fetch(`${base}/readyz`)).status).toBe(200)
      expect((await fetch(`${base}/readyz`, { method: 'HEAD' })).status).toBe(200)
      isReady = false
      const response = await fetch(`${base}/readyz`)
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toBe('5')
      expect((await fetch(`${base}/healthz`)).status).toBe(200)
    }
  })

  it('metrics are on the loopback listener only, with every room’s counters and the process’s own', async () => {
    expect((await fetch(`${rooms.url}/metrics`)).status).toBe(404)
    await fetch(`${rooms.url}/v1/me`)
    const response = await fetch(`${rooms.opsUrl}/metrics`)
    expect(response.headers.get('content-type')).toMatch(/^text\/plain/)
    const text = await response.text()
    expect(text).toMatch(/^process_resident_memory_bytes \d+/m)
    expect(text).toMatch(/^hearthlock_api_live_streams 0$/m)
    expect(text).toMatch(/^hearthlock_gateway_connections 0$/m)
    expect(text).toMatch(
      /hearthlock_http_request_seconds_count\{method="GET",route="\/v1\/me",status="401"\} 1/,
    )
  })

  it('a web page that points a name of its own at this machine reads no metrics', async () => {
    const status = await new Promise((resolve, reject) => {
      const { port } = new URL(rooms.opsUrl)
      request(
        { host: '127.0.0.1', port, path: '/metrics', headers: { host: 'evil.example' } },
        (response) => {
          response.resume()
          resolve(response.statusCode)
        },
      )
        .on('error', reject)
        .end()
    })
    expect(status).toBe(404)
  })
})
