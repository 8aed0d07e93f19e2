import { createHash, randomUUID } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type AccountId, isAppError, newId } from '../../src/core/index.ts'
import { type BoundToken, createAuthenticate } from '../../src/identity/authenticate.ts'
import type { ResourceRequest, SignInMethod } from '../../src/identity/index.ts'
import { createReplayCache } from '../../src/identity/replay-cache.ts'
import { dpopProof, newProofKey, type ProofKey, type ProofOptions } from './support/user-agent.ts'

// Each refusal is reached with all else in order, so that its own check is the only one that can refuse.

const issuer = 'https://home.example'
const accountId = newId<AccountId>()
const token = 'an-access-token'
const NONCE = 'a-nonce'
let key: ProofKey
let nowMs: number
let tokens: Map<string, BoundToken>
let grants: Map<string, { handle: string; accountId: string; clientId: string }>
let kind: 'customer' | 'operator'
let known: boolean
let lookUps: number
let authenticate: ReturnType<typeof createAuthenticate>

beforeAll(async () => {
  key = await newProofKey()
})

beforeEach(async () => {
  nowMs = Date.now()
  kind = 'customer'
  known = true
  lookUps = 0
  tokens = new Map([[token, await boundTo(key)]])
  grants = new Map([['grant', { handle: 'handle', accountId, clientId: 'hearthlock-cli' }]])
  const clock = { nowMs: () => nowMs }
  authenticate = createAuthenticate({
    issuer: () => issuer,
    clock,
    replays: createReplayCache({ clock, maxEntries: 10 }),
    nonces: { accepts: (nonce) => nonce === NONCE },
    findToken: async (value) => {
      lookUps++
      return tokens.get(value)
    },
    findGrant: async (id) => grants.get(id),
    findAccount: async () => (known ? { accountId, kind, roles: [] } : undefined),
  })
})

async function boundTo(to: ProofKey): Promise<BoundToken> {
  const jkt = await calculateJwkThumbprint(to.jwk)
  return {
    accountId,
    clientId: 'hearthlock-cli',
    grantId: 'grant',
    jkt,
    authTimeSeconds: 1_700_000_000,
    amr: ['pwd'],
    epoch: 0,
  }
}

async function request(
  changes: Partial<ProofOptions> = {},
  parts: Partial<ResourceRequest> = {},
): Promise<ResourceRequest> {
  const dpop = await dpopProof(key, {
    method: 'GET',
    url: `${issuer}/v1/me`,
    token,
    ...changes,
    claims: { nonce: NONCE, ...changes.claims },
  })
  return { method: 'GET', url: '/v1/me', authorization: `DPoP ${token}`, dpop, ...parts }
}

/** The reason is compared too: another check's refusal must not stand in for the one under test. */
async function expectRefused(of: ResourceRequest | Promise<ResourceRequest>, reason: RegExp): Promise<void> {
  const error = await authenticate(await of).then(
    () => undefined,
    (caught) => caught,
  )
  expect(isAppError(error, 'unauthenticated') && error.detail).toMatch(reason)
  expect(error.message).toBe('Sign in first.')
}

describe('a request with token and proof', () => {
  it('is answered with who makes it', async () => {
    expect(await authenticate(await request())).toEqual({
      accountId,
      epoch: 0,
      kind: 'customer',
      roles: [],
      sessionId: 'handle',
      signedInAtMs: 1_700_000_000_000,
      methods: ['pwd'],
    })
  })

  it('may write the scheme in any case', async () => {
    await expect(authenticate(await request({}, { authorization: `dpop ${token}` }))).resolves.toBeTruthy()
  })

  it.each(['EdDSA', 'Ed25519'])('may be signed with %s', async (alg) => {
    const { privateKey, publicKey } = await generateKeyPair(alg)
    const other = { privateKey, jwk: await exportJWK(publicKey) }
    tokens.set(token, await boundTo(other))
    const dpop = await dpopProof(other, {
      method: 'GET',
      url: `${issuer}/v1/me`,
      token,
      header: { alg },
      claims: { nonce: NONCE },
    })
    await expect(authenticate(await request({}, { dpop }))).resolves.toBeTruthy()
  })

  it.each([
    ['a query in the request', `${issuer}/v1/me`, '/v1/me?before=3'],
    ['a query and a fragment in htu', `${issuer}/v1/me?x=1#y`, '/v1/me'],
    ['the default port and capitals', 'HTTPS://HOME.example:443/v1/me', '/v1/me'],
    ['an absolute request target', `${issuer}/v1/me`, `${issuer}/v1/me`],
  ])('may differ by %s (4.3 (9))', async (_what, htu, url) => {
    await expect(authenticate(await request({ url: htu }, { url }))).resolves.toBeTruthy()
  })
})

describe('a request is refused', () => {
  it('of an operator whose sign-in was made by a password, and is not when by a passkey', async () => {
    kind = 'operator'
    const clientId = 'hearthlock-operator-cli'
    grants.set('grant', { handle: 'handle', accountId, clientId })
    const bound = await boundTo(key)
    for (const amr of [['pwd'], ['pwd', 'otp'], []] as SignInMethod[][]) {
      tokens.set(token, { ...bound, clientId, amr })
      await expectRefused(request(), /did not sign in with a passkey/)
    }
    tokens.set(token, { ...bound, clientId, amr: ['hwk'] })
    await expect(authenticate(await request())).resolves.toMatchObject({ kind: 'operator' })
  })

  it.each([undefined, '', token, `Bearer ${token}`, 'DPoP', `DPoP ${token} ${token}`])(
    'without the DPoP scheme: %s (7.1)',
    async (authorization) => {
      await expectRefused(request({}, { authorization }), /no DPoP authorization/)
    },
  )

  it('without a proof, or with two (4.3 (1))', async () => {
    const { dpop } = await request()
    await expectRefused(request({}, { dpop: undefined }), /4\.3 \(1\)/)
    await expectRefused(request({}, { dpop: [dpop as string, dpop as string] }), /4\.3 \(1\)/)
    await expectRefused(request({}, { dpop: `${dpop}, ${dpop}` }), /4\.3 \(2\)/)
  })

  it.each([
    ['nothing', ''],
    ['two parts', 'a.b'],
    ['no JSON', 'a.b.c'],
    ['null', 'bnVsbA.e30.AA'],
    ['a list', 'W10.W10.AA'],
    ['too much', `e30.e30.${'A'.repeat(5000)}`],
  ])('with what is not a JWT: %s (4.3 (2))', async (_what, dpop) => {
    await expectRefused(request({}, { dpop }), /4\.3 \(2\)/)
  })

  it.each(['jti', 'htm', 'htu', 'iat', 'ath'])('without the claim %s (4.3 (3))', async (claim) => {
    await expectRefused(request({ claims: { [claim]: undefined } }), /4\.3 \(3\)/)
  })

  it('with a jti too long to remember (4.3 (3))', async () => {
    await expectRefused(request({ claims: { jti: 'x'.repeat(129) } }), /4\.3 \(3\)/)
  })

  it('with a proof of another type (4.3 (4))', async () => {
    await expectRefused(request({ header: { typ: 'JWT' } }), /4\.3 \(4\)/)
    await expectRefused(request({ header: { typ: undefined } }), /4\.3 \(4\)/)
  })

  it.each(['ES384', 'RS256', 'PS256'])('with a proof signed with %s (4.3 (5))', async (alg) => {
    const other = await newProofKey(alg)
    tokens.set(token, await boundTo(other))
    const dpop = await dpopProof(other, {
      method: 'GET',
      url: `${issuer}/v1/me`,
      token,
      header: { alg },
      claims: { nonce: NONCE },
    })
    await expectRefused(request({}, { dpop }), /4\.3 \(5\)/)
  })

  it('with an unsigned or symmetrically signed proof (4.3 (5))', async () => {
    const claims = {
      jti: randomUUID(),
      htm: 'GET',
      htu: `${issuer}/v1/me`,
      iat: Math.floor(nowMs / 1000),
      ath: createHash('sha256').update(token).digest('base64url'),
    }
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const unsigned = `${encode({ typ: 'dpop+jwt', alg: 'none', jwk: key.jwk })}.${encode(claims)}.AA`
    await expectRefused(request({}, { dpop: unsigned }), /4\.3 \(5\)/)
    const secret = Buffer.from('0123456789abcdef0123456789abcdef')
    const symmetric = await new SignJWT(claims)
      .setProtectedHeader({ typ: 'dpop+jwt', alg: 'HS256', jwk: { kty: 'oct' } })
      .sign(secret)
    await expectRefused(request({}, { dpop: symmetric }), /4\.3 \(5\)/)
  })

  it('with a key that is none, or not of the algorithm (4.3 (6))', async () => {
    await expectRefused(request({ header: { jwk: undefined } }), /4\.3 \(6\): jwk/)
    const p384 = await newProofKey('ES384')
    await expectRefused(request({ header: { jwk: p384.jwk } }), /4\.3 \(6\): key type/)
  })

  it('with a signature by another key, or a point that is on no curve (4.3 (6))', async () => {
    const other = await newProofKey()
    await expectRefused(request({ header: { jwk: other.jwk } }), /4\.3 \(6\): signature/)
    await expectRefused(request({ header: { jwk: { ...key.jwk, x: key.jwk.y } } }), /4\.3 \(6\): signature/)
  })

  it('with a private key in the proof (4.3 (7))', async () => {
    const whole = await exportJWK(key.privateKey)
    await expectRefused(request({ header: { jwk: whole } }), /4\.3 \(7\)/)
  })

  it('with a proof for another method (4.3 (8))', async () => {
    await expectRefused(request({ method: 'POST' }), /4\.3 \(8\)/)
    await expectRefused(request({}, { method: 'DELETE' }), /4\.3 \(8\)/)
  })

  it.each([
    ['another path', `${issuer}/v1/households`, '/v1/me'],
    ['another host', 'https://evil.example/v1/me', '/v1/me'],
    ['another scheme', 'http://home.example/v1/me', '/v1/me'],
    ['another port', 'https://home.example:8443/v1/me', '/v1/me'],
    ['no URL', 'v1/me', '/v1/me'],
    ['a target that leads elsewhere', 'https://evil.example/v1/me', 'https://evil.example/v1/me'],
    ['a target that looks like a host', 'https://evil.example/v1/me', '//evil.example/v1/me'],
  ])('with a proof for %s (4.3 (9))', async (_what, htu, url) => {
    await expectRefused(request({ url: htu }, { url }), /4\.3 \(9\)/)
  })

  it('with a proof made 61 s before or after now, not 59 (4.3 (11))', async () => {
    const at = (seconds: number) => ({ claims: { iat: Math.floor(nowMs / 1000) + seconds } })
    await expectRefused(request(at(-61)), /4\.3 \(11\)/)
    await expectRefused(request(at(62)), /4\.3 \(11\)/)
    await expect(authenticate(await request(at(-59)))).resolves.toBeTruthy()
    await expect(authenticate(await request(at(59)))).resolves.toBeTruthy()
  })

  it('with a proof for another token (4.3 (12a))', async () => {
    tokens.set('another', tokens.get(token) as BoundToken)
    await expectRefused(request({}, { authorization: 'DPoP another' }), /4\.3 \(12a\)/)
  })

  it('with a token that is bound to another key, or to none (4.3 (12b))', async () => {
    tokens.set(token, await boundTo(await newProofKey()))
    await expectRefused(request(), /4\.3 \(12b\)/)
    tokens.set(token, { ...(await boundTo(key)), jkt: undefined })
    await expectRefused(request(), /4\.3 \(12b\)/)
  })

  it('with a token that is not active', async () => {
    tokens.clear()
    await expectRefused(request(), /not active/)
  })

  it('after the sign-in has ended', async () => {
    grants.clear()
    await expectRefused(request(), /sign-in has ended/)
  })

  it('with a token of another sign-in', async () => {
    grants.set('grant', { handle: 'handle', accountId: newId(), clientId: 'hearthlock-cli' })
    await expectRefused(request(), /another sign-in/)
    grants.set('grant', { handle: 'handle', accountId, clientId: 'hearthlock-operator-cli' })
    await expectRefused(request(), /another sign-in/)
  })

  it('after the account has gone', async () => {
    known = false
    await expectRefused(request(), /account is gone/)
  })

  it("with an operator's account and a customers' client", async () => {
    kind = 'operator'
    await expectRefused(request(), /another kind/)
  })

  it('when its proof was used before (11.1)', async () => {
    const once = await request()
    await authenticate(once)
    await expectRefused(once, /11\.1/)
  })

  it('when its jti was used before in another proof by the same key (11.1)', async () => {
    const jti = randomUUID()
    await authenticate(await request({ claims: { jti } }))
    nowMs += 1000
    await expectRefused(request({ claims: { jti, iat: Math.floor(nowMs / 1000) } }), /11\.1/)
  })
})

describe('the memory of proofs', () => {
  it('does not grow by proofs that come with no living token', async () => {
    for (let i = 0; i < 20; i++) await expectRefused(request({}, { method: 'POST' }), /htm/)
    tokens.clear()
    for (let i = 0; i < 20; i++) await expectRefused(request(), /not active/)
    tokens.set(token, await boundTo(key))
    await expect(authenticate(await request())).resolves.toBeTruthy()
  })

  it('refuses rather than forgets when it is full, and forgets when proofs have expired', async () => {
    for (let i = 0; i < 10; i++) await authenticate(await request())
    await expect(authenticate(await request())).rejects.toMatchObject({ code: 'unavailable' })
    nowMs += 122_000
    await expect(authenticate(await request({ claims: { iat: nowMs / 1000 } }))).resolves.toBeTruthy()
  })

  it('is not asked before the signature was checked, nor is the store', async () => {
    await expectRefused(request({ header: { jwk: (await newProofKey()).jwk } }), /signature/)
    expect(lookUps).toBe(0)
  })
})
