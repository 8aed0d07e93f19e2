import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Personal } from '../../src/core/index.ts'
import { ada, type Setup, setUp } from './support/setup.ts'
import { dpopProof, newProofKey, type Tokens, UserAgent } from './support/user-agent.ts'

let s: Setup
beforeAll(async () => {
  s = await setUp()
  await s.join(ada)
})
afterAll(() => s.close())

const email = ada.email.reveal()
const password = ada.password.reveal()
const problem = async (response: Response) => [
  response.status,
  ((await response.json()) as { error: string }).error,
]

describe('signing in', () => {
  it('gives a DPoP-bound opaque access token of at most 300 s and a refresh token', async () => {
    const tokens = await new UserAgent(s.url).signIn(email, password)
    expect(tokens.token_type).toBe('DPoP')
    expect(tokens.expires_in).toBeLessThanOrEqual(300)
    expect(tokens.access_token).not.toContain('.')
    expect(tokens.refresh_token).toBeTruthy()
    expect(decodeJwt(tokens.id_token).iss).toBe(s.url)
    expect(decodeJwt(tokens.id_token)).not.toHaveProperty('email')
  })

  it('makes a customer known to a resource by token and proof', async () => {
    const agent = new UserAgent(s.url)
    const { access_token } = await agent.signIn(email, password)
    const principal = await s.identity.authenticate(await agent.request(access_token))
    expect(principal).toMatchObject({ kind: 'customer', roles: [] })
    expect(principal.accountId).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('keeps working after a refresh, with a new refresh token', async () => {
    const agent = new UserAgent(s.url)
    const first = await agent.signIn(email, password)
    const second = (await (await agent.refresh(first.refresh_token)).json()) as Tokens
    expect(second.refresh_token).not.toBe(first.refresh_token)
    await expect(s.identity.authenticate(await agent.request(second.access_token))).resolves.toBeTruthy()
  })

  it('tells when and how it was made, also after a refresh', async () => {
    const agent = new UserAgent(s.url)
    const atMs = s.clock.nowMs()
    const first = await agent.signIn(email, password)
    const before = await s.identity.authenticate(await agent.request(first.access_token))
    expect(before.methods).toEqual(['pwd'])
    expect(Math.abs(before.signedInAtMs - atMs)).toBeLessThan(30_000)
    const second = (await (await agent.refresh(first.refresh_token)).json()) as Tokens
    const after = await s.identity.authenticate(await agent.request(second.access_token))
    expect(after).toEqual(before)
  })

  it('asks for the password each time, even where somebody has just signed in', async () => {
    const agent = new UserAgent(s.url)
    await agent.signIn(email, password)
    expect(await agent.begin()).toMatch(/^\/oauth\/interaction\//)
    const silent = await agent.fetch(agent.authorizationUrl({ prompt: 'none' }))
    expect(silent.headers.get('location')).toContain('error=login_required')
  })

  it('lets another person sign in with the same browser', async () => {
    const eve = { ...ada, email: new Personal('eve@example.org') }
    await s.join(eve)
    const agent = new UserAgent(s.url)
    const first = await agent.signIn(email, password)
    const second = await agent.signIn('eve@example.org', password)
    const [one, two] = await Promise.all([
      s.identity.authenticate(await agent.request(first.access_token)),
      s.identity.authenticate(await agent.request(second.access_token)),
    ])
    expect(one.accountId).not.toBe(two.accountId)
  })

  it('has cookies that are signed, httpOnly and SameSite=Lax', async () => {
    const response = await fetch(s.url + new UserAgent(s.url).authorizationUrl(), { redirect: 'manual' })
    const cookies = response.headers.getSetCookie()
    expect(cookies.length).toBeGreaterThan(0)
    for (const cookie of cookies) expect(cookie.toLowerCase()).toMatch(/httponly/)
    for (const cookie of cookies) expect(cookie.toLowerCase()).toMatch(/samesite=lax/)
    expect(cookies.some((cookie) => cookie.startsWith('hearthlock_interaction.sig='))).toBe(true)
  })

  it('refuses a forged cookie', async () => {
    const agent = new UserAgent(s.url)
    const interaction = await agent.begin()
    agent.cookies.set('hearthlock_interaction.sig', 'AAAAAAAAAAAAAAAAAAAAAAAAAAA')
    expect((await agent.answer(interaction, email, password)).status).toBe(400)
  })
})

describe('a grant', () => {
  it('ends when a refresh token is used twice', async () => {
    const agent = new UserAgent(s.url)
    const first = await agent.signIn(email, password)
    const second = (await (await agent.refresh(first.refresh_token)).json()) as Tokens
    expect(await problem(await agent.refresh(first.refresh_token))).toEqual([400, 'invalid_grant'])
    expect(await problem(await agent.refresh(second.refresh_token))).toEqual([400, 'invalid_grant'])
    await expect(s.identity.authenticate(await agent.request(second.access_token))).rejects.toThrow('Sign in')
  })

  it('gives one of two simultaneous users of a refresh token nothing that lasts', async () => {
    const agent = new UserAgent(s.url)
    const first = await agent.signIn(email, password)
    const answers = await Promise.all(Array.from({ length: 4 }, () => agent.refresh(first.refresh_token)))
    const given = (await Promise.all(
      answers.filter((answer) => answer.status === 200).map((answer) => answer.json()),
    )) as Tokens[]
    expect(given.length).toBeLessThanOrEqual(1)
    for (const tokens of given) {
      expect((await agent.refresh(tokens.refresh_token)).status).toBe(400)
      await expect(s.identity.authenticate(await agent.request(tokens.access_token))).rejects.toThrow(
        'Sign in',
      )
    }
  })

  it('ends when its code is used twice', async () => {
    const agent = new UserAgent(s.url)
    agent.key = await newProofKey()
    const code = await agent.code(email, password)
    const tokens = (await (await agent.exchange(code)).json()) as Tokens
    expect(await problem(await agent.exchange(code))).toEqual([400, 'invalid_grant'])
    expect((await agent.refresh(tokens.refresh_token)).status).toBe(400)
  })

  it('ends by revocation, access token included', async () => {
    const agent = new UserAgent(s.url)
    const { access_token, refresh_token } = await agent.signIn(email, password)
    const answer = await agent.fetch('/oauth/revoke', {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ client_id: 'hearthlock-cli', token: refresh_token }).toString(),
    })
    expect(answer.status).toBe(200)
    await expect(s.identity.authenticate(await agent.request(access_token))).rejects.toThrow('Sign in')
  })

  it('ends by endSession, and only that one', async () => {
    const [here, there] = [new UserAgent(s.url), new UserAgent(s.url)]
    const [mine, other] = [await here.signIn(email, password), await there.signIn(email, password)]
    await s.identity.endSession(await s.identity.authenticate(await here.request(mine.access_token)))
    await expect(s.identity.authenticate(await here.request(mine.access_token))).rejects.toThrow('Sign in')
    expect((await here.refresh(mine.refresh_token)).status).toBe(400)
    await expect(s.identity.authenticate(await there.request(other.access_token))).resolves.toBeTruthy()
  })

  it('keeps one sessionId through a refresh', async () => {
    const agent = new UserAgent(s.url)
    const first = await agent.signIn(email, password)
    const before = await s.identity.authenticate(await agent.request(first.access_token))
    const second = (await (await agent.refresh(first.refresh_token)).json()) as Tokens
    const after = await s.identity.authenticate(await agent.request(second.access_token))
    expect(after.sessionId).toBe(before.sessionId)
  })
})

describe('the provider refuses', () => {
  it.each([
    ['no PKCE', { code_challenge: undefined, code_challenge_method: undefined }],
    ['plain PKCE', { code_challenge_method: 'plain' }],
    ['the implicit flow', { response_type: 'id_token', nonce: 'n' }],
    ['the hybrid flow', { response_type: 'code id_token', nonce: 'n' }],
  ])('%s', async (_what, changes) => {
    const agent = new UserAgent(s.url)
    const location = (await agent.fetch(agent.authorizationUrl(changes))).headers.get('location') ?? ''
    expect(location).toMatch(/[?#&]error=/)
    expect(location).not.toContain('/oauth/interaction/')
  })

  it('a client that it does not know, and a redirect that is not loopback', async () => {
    const agent = new UserAgent(s.url)
    for (const changes of [{ client_id: 'stranger' }, { redirect_uri: 'http://evil.example/callback' }]) {
      const response = await agent.fetch(agent.authorizationUrl(changes))
      expect(response.status).toBe(400)
      expect(response.headers.get('location')).toBeNull()
    }
  })

  it('a dynamic registration', async () => {
    for (const path of ['/reg', '/oauth/reg']) {
      expect((await fetch(s.url + path, { method: 'POST' })).status).toBe(404)
    }
  })

  it('the development interactions', async () => {
    expect((await fetch(`${s.url}/interaction/some`)).status).toBe(404)
  })

  it('a code without a proof, with a wrong verifier, or another redirect', async () => {
    const agent = new UserAgent(s.url)
    agent.key = await newProofKey()
    expect(await problem(await agent.exchange(await agent.code(email, password), null))).toEqual([
      400,
      'invalid_grant',
    ])
    const code = await agent.code(email, password)
    const fields = { grant_type: 'authorization_code', code, redirect_uri: agent.redirectUri }
    const wrong = await agent.token({ ...fields, code_verifier: 'x'.repeat(43) })
    expect(await problem(wrong)).toEqual([400, 'invalid_grant'])
    const elsewhere = {
      ...fields,
      redirect_uri: 'http://127.0.0.1:9/callback',
      code_verifier: agent.verifier,
    }
    expect(await problem(await agent.token(elsewhere))).toEqual([400, 'invalid_grant'])
  })

  it('a refresh without a proof, or with another key', async () => {
    const agent = new UserAgent(s.url)
    const { refresh_token } = await agent.signIn(email, password)
    expect(await problem(await agent.refresh(refresh_token, null))).toEqual([400, 'invalid_grant'])
    const foreign = await agent.proof(await newProofKey())
    expect(await problem(await agent.refresh(refresh_token, foreign))).toEqual([400, 'invalid_grant'])
    expect((await agent.refresh(refresh_token)).status).toBe(200)
  })

  it('a proof used twice at the token endpoint, one after the other or at once', async () => {
    const agent = new UserAgent(s.url)
    const { refresh_token } = await agent.signIn(email, password)
    const proof = await agent.proof()
    const next = (await (await agent.refresh(refresh_token, proof)).json()) as Tokens
    expect(await problem(await agent.refresh(next.refresh_token, proof))).toEqual([400, 'invalid_grant'])
    expect((await agent.refresh(next.refresh_token)).status).toBe(200)
  })
})

describe('a nonce of this process (RFC 9449 section 8)', () => {
  it('is asked for at the token endpoint, and serves for the first request, too', async () => {
    const agent = new UserAgent(s.url)
    const { access_token, refresh_token } = await agent.signIn(email, password)
    const nonce = agent.nonce
    expect(nonce).toBeTruthy()
    const url = `${s.url}/oauth/token`
    for (const claims of [{}, { nonce: 'made-up' }]) {
      const without = await dpopProof(agent.key, { method: 'POST', url, claims })
      const refused = await agent.refresh(refresh_token, without)
      expect(refused.headers.get('dpop-nonce')).toBeTruthy()
      expect(await problem(refused)).toEqual([400, 'use_dpop_nonce'])
    }
    const target = `${s.url}/v1/me`
    const dpop = await dpopProof(agent.key, {
      method: 'GET',
      url: target,
      token: access_token,
      claims: { nonce },
    })
    const request = { method: 'GET', url: '/v1/me', authorization: `DPoP ${access_token}`, dpop }
    await expect(s.identity.authenticate(request)).resolves.toBeTruthy()
  })

  it('of another process, or of this one before a restart, is refused', async () => {
    const other = await setUp()
    try {
      const agent = new UserAgent(s.url)
      const { access_token } = await agent.signIn(email, password)
      const nonce = other.identity.dpopNonce()
      const url = `${s.url}/v1/me`
      const dpop = await dpopProof(agent.key, { method: 'GET', url, token: access_token, claims: { nonce } })
      const request = { method: 'GET', url: '/v1/me', authorization: `DPoP ${access_token}`, dpop }
      await expect(s.identity.authenticate(request)).rejects.toMatchObject({ code: 'use_dpop_nonce' })
    } finally {
      await other.close()
    }
  })
})

describe('kinds of account', () => {
  it("keeps customers out of the operators' client", async () => {
    const agent = new UserAgent(s.url, 'hearthlock-operator-cli')
    const answer = await agent.answer(await agent.begin(), email, password)
    expect(answer.status).toBe(401)
  })
})

describe('the public URL', () => {
  it('is the issuer, whatever Host or forwarding headers a request has', async () => {
    const forged = { host: 'evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' }
    const discovery = await fetch(`${s.url}/.well-known/openid-configuration`, { headers: forged })
    const document = (await discovery.json()) as Record<string, unknown>
    expect(document.issuer).toBe(s.url)
    expect(document.token_endpoint).toBe(`${s.url}/oauth/token`)
    expect(document.code_challenge_methods_supported).toEqual(['S256'])
    expect(document.response_types_supported).toEqual(['code'])
    expect(document).not.toHaveProperty('registration_endpoint')
  })

  it('publishes the public half of the signing key only', async () => {
    const { keys } = (await (await fetch(`${s.url}/oauth/jwks`)).json()) as { keys: Record<string, string>[] }
    expect(keys).toHaveLength(1)
    expect(keys[0]).toMatchObject({ kty: 'EC', crv: 'P-256', alg: 'ES256' })
    expect(keys[0]).not.toHaveProperty('d')
  })

  it('may be https where TLS ends before this process; cookies are then Secure', async () => {
    const behind = await setUp({ issuer: 'https://home.example' })
    try {
      const discovery = await fetch(`${behind.url}/.well-known/openid-configuration`)
      expect(await discovery.json()).toMatchObject({
        issuer: 'https://home.example',
        token_endpoint: 'https://home.example/oauth/token',
      })
      const agent = new UserAgent(behind.url)
      const begun = await agent.fetch(agent.authorizationUrl())
      expect(begun.status).toBe(303)
      for (const cookie of begun.headers.getSetCookie()) expect(cookie.toLowerCase()).toContain('; secure')
    } finally {
      await behind.close()
    }
  })
})
