import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newProofKey, openProofKey } from '../../src/client/dpop.ts'
import { createClient, memorySessionStore, type StoredSession } from '../../src/client/index.ts'
import { Personal, Secret, systemClock } from '../../src/core/index.ts'
import { join, type Rooms, startRooms } from '../support/start-rooms.ts'

const email = new Personal('ada@example.org')
const password = new Secret('correct horse battery staple')

describe('sessions over HTTP', () => {
  let rooms: Rooms
  beforeAll(async () => {
    rooms = await startRooms()
    await join({ client: client(), mail: rooms.mail, email, password })
  })
  afterAll(() => rooms.close())

  function client(store = memorySessionStore()) {
    return createClient({ baseUrl: rooms.url, store })
  }
  async function signedIn() {
    const store = memorySessionStore()
    await client(store).signIn({ clientId: 'hearthlock-cli', email, password })
    const session = (await store.load()) as StoredSession
    return { store, session, client: client(store) }
  }
  async function me(headers: Record<string, string>) {
    return await fetch(`${rooms.url}/v1/me`, { headers })
  }

  it('a person signs up, signs in, sees who they are, and signs out', async () => {
    const { client: ada } = await signedIn()
    expect(await ada.request('GET', '/v1/me')).toMatchObject({
      kind: 'customer',
      roles: [],
      email: 'ada@example.org',
      name: 'Ada',
    })
    await ada.signOut()
    await expect(ada.request('GET', '/v1/me')).rejects.toMatchObject({ code: 'unauthenticated' })
  })

  it('a token that was signed out is dead, with its key and its refresh token', async () => {
    const { client: ada, session } = await signedIn()
    await ada.signOut()
    const store = memorySessionStore()
    await store.save(session)
    await expect(client(store).request('GET', '/v1/me')).rejects.toMatchObject({ code: 'unauthenticated' })
    expect(await store.load()).toBeUndefined()
  })

  it('a wrong password and an unknown address are refused in the same words', async () => {
    const wrong = client().signIn({ clientId: 'hearthlock-cli', email, password: new Secret('not this one') })
    const unknown = client().signIn({
      clientId: 'hearthlock-cli',
      email: new Personal('nobody@example.org'),
      password,
    })
    const [one, two] = await Promise.all([wrong, unknown].map((attempt) => attempt.catch((error) => error)))
    expect(one).toMatchObject({ code: 'sign_in_refused', status: 401 })
    expect({ ...two }).toEqual({ ...one })
    expect(two.message).toBe(one.message)
  })

  it('a stolen token is worthless: alone, as a bearer token, and with the key of the thief', async () => {
    const { session } = await signedIn()
    const token = session.accessToken.reveal()
    const thief = await newProofKey(systemClock)
    const proof = await thief.prove({
      method: 'GET',
      url: `${rooms.url}/v1/me`,
      accessToken: session.accessToken,
      nonce: rooms.identity.dpopNonce(),
    })
    expect((await me({ authorization: `DPoP ${token}` })).status).toBe(401)
    expect((await me({ authorization: `Bearer ${token}` })).status).toBe(401)
    expect((await me({ authorization: `DPoP ${token}`, dpop: proof })).status).toBe(401)
  })

  it('a proof is good for one request to one address of this very server', async () => {
    const { session } = await signedIn()
    const key = await openProofKey(session.privateJwk, systemClock)
    const { accessToken } = session
    const authorization = `DPoP ${accessToken.reveal()}`
    const url = `${rooms.url}/v1/me`
    const good = await key.prove({ method: 'GET', url, accessToken, nonce: rooms.identity.dpopNonce() })
    expect((await me({ authorization, dpop: good })).status).toBe(200)
    expect((await me({ authorization, dpop: good })).status).toBe(401)
    const nonce = rooms.identity.dpopNonce()
    const elsewhere = await key.prove({
      method: 'GET',
      url: `${rooms.url}/v1/households`,
      accessToken,
      nonce,
    })
    expect((await me({ authorization, dpop: elsewhere })).status).toBe(401)
    const otherHost = await key.prove({ method: 'GET', url: 'http://evil.example/v1/me', accessToken, nonce })
    expect((await me({ authorization, dpop: otherHost })).status).toBe(401)
  })

  it("the server's own address counts, not the Host header", async () => {
    const { session } = await signedIn()
    const key = await openProofKey(session.privateJwk, systemClock)
    const { accessToken } = session
    const nonce = rooms.identity.dpopNonce()
    const dpop = await key.prove({ method: 'GET', url: 'http://evil.example/v1/me', accessToken, nonce })
    const { port } = new URL(rooms.url)
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = {
        host: 'evil.example',
        'x-forwarded-host': 'evil.example',
        authorization: `DPoP ${accessToken.reveal()}`,
        dpop,
      }
      request({ host: '127.0.0.1', port, path: '/v1/me', headers }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
        .on('error', reject)
        .end()
    })
    expect(status).toBe(401)
  })

  it('a proof without the nonce of this process is asked to come again with it', async () => {
    const { session } = await signedIn()
    const key = await openProofKey(session.privateJwk, systemClock)
    const { accessToken } = session
    const url = `${rooms.url}/v1/me`
    const authorization = `DPoP ${accessToken.reveal()}`
    const refused = await me({ authorization, dpop: await key.prove({ method: 'GET', url, accessToken }) })
    expect(refused.status).toBe(401)
    expect(refused.headers.get('www-authenticate')).toMatch(/^DPoP error="use_dpop_nonce"/)
    expect(refused.headers.get('cache-control')).toBe('no-store')
    expect(await refused.json()).toMatchObject({ code: 'use_dpop_nonce' })
    const nonce = refused.headers.get('dpop-nonce') as string
    const answer = await me({
      authorization,
      dpop: await key.prove({ method: 'GET', url, accessToken, nonce }),
    })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('dpop-nonce')).toBeTruthy()
  })

  it('the client learns the nonce once, keeps it for the next process, and asks no second time', async () => {
    const { store, session } = await signedIn()
    await store.save({ ...session, nonce: 'of-another-process' })
    const seen: number[] = []
    const plainFetch = globalThis.fetch
    globalThis.fetch = async (...request) => {
      const response = await plainFetch(...request)
      seen.push(response.status)
      return response
    }
    try {
      await client(store).request('GET', '/v1/me')
      await client(store).request('GET', '/v1/me')
    } finally {
      globalThis.fetch = plainFetch
    }
    expect(seen).toEqual([401, 200, 200])
  })

  it('an expired access token is renewed once, however many requests wait for it', async () => {
    const { store, session } = await signedIn()
    await store.save({ ...session, accessExpiresAtMs: 0 })
    const ada = client(store)
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => ada.request<{ kind: string }>('GET', '/v1/me')),
    )
    expect(answers.every(({ kind }) => kind === 'customer')).toBe(true)
    expect((await store.load())?.refreshToken.reveal()).not.toBe(session.refreshToken.reveal())
  })

  it('two clients that share a session file do not use a refresh token twice', async () => {
    const { store, session } = await signedIn()
    await store.save({ ...session, accessExpiresAtMs: 0 })
    const answers = await Promise.all([
      client(store).request<{ kind: string }>('GET', '/v1/me'),
      client(store).request<{ kind: string }>('GET', '/v1/me'),
    ])
    expect(answers).toHaveLength(2)
  })

  it('a token that the server refuses is renewed and the request sent again', async () => {
    const { store, session } = await signedIn()
    await store.save({ ...session, accessToken: new Secret('not-a-token') })
    expect(await client(store).request('GET', '/v1/me')).toMatchObject({ kind: 'customer' })
  })

  it('the tokens of one server are not sent to another', async () => {
    const { store, session } = await signedIn()
    await store.save({ ...session, baseUrl: 'http://127.0.0.1:1' })
    await expect(client(store).request('GET', '/v1/me')).rejects.toMatchObject({ code: 'unauthenticated' })
  })

  it.each(['http://evil.example/v1/me', '//evil.example/v1/me', 'v1/me'])(
    'the client sends its token nowhere else (%s)',
    async (path) => {
      const { client: ada } = await signedIn()
      await expect(ada.request('GET', path)).rejects.toMatchObject({ code: 'unexpected' })
    },
  )

  it('too many refused tokens from one address must wait', async () => {
    const strict = await startRooms({ limits: { refusedTokensPerMinutePerAddress: 3 } })
    try {
      const headers = { authorization: 'DPoP guess', dpop: 'guess' }
      const statuses: number[] = []
      for (let n = 0; n < 4; n += 1) {
        const response = await fetch(`${strict.url}/v1/me`, { headers })
        statuses.push(response.status)
        if (response.status === 429) expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
      }
      expect(statuses).toEqual([401, 401, 401, 429])
    } finally {
      await strict.close()
    }
  })
})
