import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'

export interface Tokens {
  access_token: string
  refresh_token: string
  id_token: string
  token_type: string
  expires_in: number
}

export interface ProofKey {
  privateKey: CryptoKey
  jwk: JWK
}

export async function newProofKey(alg = 'ES256'): Promise<ProofKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { privateKey, jwk: await exportJWK(publicKey) }
}

export interface ProofOptions {
  method: string
  url: string
  token?: string | undefined
  header?: Record<string, unknown>
  claims?: Record<string, unknown>
}

/** A DPoP proof (RFC 9449 section 4.2); `header` and `claims` replace members, `undefined` removes one. */
export async function dpopProof(key: ProofKey, o: ProofOptions): Promise<string> {
  const claims = {
    jti: randomUUID(),
    htm: o.method,
    htu: o.url,
    iat: Math.floor(Date.now() / 1000),
    ...(o.token && { ath: createHash('sha256').update(o.token).digest('base64url') }),
    ...o.claims,
  }
  const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: key.jwk, ...o.header }
  return new SignJWT(claims).setProtectedHeader(header).sign(key.privateKey)
}

/** What a headless first-party client does, step by step, each step open to a test. */
export class UserAgent {
  readonly issuer: string
  readonly clientId: string
  readonly redirectUri = 'http://127.0.0.1:51234/callback'
  readonly cookies = new Map<string, string>()
  readonly verifier = randomBytes(32).toString('base64url')
  key!: ProofKey
  /** The server's latest nonce for proofs. */
  nonce: string | undefined

  /** Sent in a header of its own, which the test's server believes. */
  readonly remoteAddress: string | undefined

  constructor(issuer: string, clientId = 'hearthlock-cli', remoteAddress?: string) {
    this.issuer = issuer
    this.clientId = clientId
    this.remoteAddress = remoteAddress
  }

  async fetch(
    target: string,
    init: RequestInit & { headers?: Record<string, string> } = {},
  ): Promise<Response> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const from = this.remoteAddress && { 'x-test-from': this.remoteAddress }
    const headers = { ...(cookie && { cookie }), ...from, ...init.headers }
    const response = await fetch(new URL(target, this.issuer), { redirect: 'manual', ...init, headers })
    this.nonce = response.headers.get('dpop-nonce') ?? this.nonce
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';')
      const at = pair.indexOf('=')
      const [name, value] = [pair.slice(0, at), pair.slice(at + 1)]
      if (value) this.cookies.set(name, value)
      else this.cookies.delete(name)
    }
    return response
  }

  authorizationUrl(changes: Record<string, string | undefined> = {}): string {
    const parameters = {
      client_id: this.clientId,
      response_type: 'code',
      redirect_uri: this.redirectUri,
      scope: 'openid offline_access',
      state: 'some-state',
      code_challenge: createHash('sha256').update(this.verifier).digest('base64url'),
      code_challenge_method: 'S256',
      ...changes,
    }
    const defined = Object.entries(parameters).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    )
    return `/oauth/auth?${new URLSearchParams(defined)}`
  }

  /** @returns the path of the interaction */
  async begin(changes?: Record<string, string | undefined>): Promise<string> {
    const response = await this.fetch(this.authorizationUrl(changes))
    return new URL(response.headers.get('location') as string, this.issuer).pathname
  }

  answer(interaction: string, email: string, password: string): Promise<Response> {
    return this.fetch(interaction, {
      method: 'POST',
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      body: JSON.stringify({ email, password }),
    })
  }

  /** @returns the callback's parameters */
  async resume(redirectTo: string): Promise<URLSearchParams> {
    const response = await this.fetch(redirectTo)
    return new URL(response.headers.get('location') as string).searchParams
  }

  async code(email: string, password: string): Promise<string> {
    const answer = await this.answer(await this.begin(), email, password)
    const { redirectTo } = (await answer.json()) as { redirectTo: string }
    return (await this.resume(redirectTo)).get('code') as string
  }

  /** A proof for the token endpoint, with the nonce that came last. */
  proof(key = this.key): Promise<string> {
    const claims = { nonce: this.nonce }
    return dpopProof(key, { method: 'POST', url: `${this.issuer}/oauth/token`, claims })
  }

  async token(fields: Record<string, string>, proof?: string | null): Promise<Response> {
    const send = (dpop: string | null) =>
      this.fetch('/oauth/token', {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...(dpop && { dpop }) },
        body: new URLSearchParams({ client_id: this.clientId, ...fields }).toString(),
      })
    if (proof !== undefined) return send(proof)
    const response = await send(await this.proof())
    const { error } = (await response.clone().json()) as { error?: string }
    return error === 'use_dpop_nonce' ? send(await this.proof()) : response
  }

  exchange(code: string, proof?: string | null): Promise<Response> {
    return this.token(
      {
        grant_type: 'authorization_code',
        code,
        redirect_uri: this.redirectUri,
        code_verifier: this.verifier,
      },
      proof,
    )
  }

  refresh(refreshToken: string, proof?: string | null): Promise<Response> {
    return this.token({ grant_type: 'refresh_token', refresh_token: refreshToken }, proof)
  }

  async signIn(email: string, password: string): Promise<Tokens> {
    this.key ??= await newProofKey()
    const response = await this.exchange(await this.code(email, password))
    if (response.status !== 200) throw new Error(await response.text())
    return (await response.json()) as Tokens
  }

  /** What `authenticate` takes, for a request by this client. */
  async request(accessToken: string, path = '/v1/me', method = 'GET') {
    const url = `${this.issuer}${path}`
    // The test's server hands it out; others learn it from an answer.
    const claims = { nonce: await (await fetch(`${this.issuer}/nonce`)).text() }
    const dpop = await dpopProof(this.key, { method, url, token: accessToken, claims })
    return { method, url: path, authorization: `DPoP ${accessToken}`, dpop }
  }
}
