import { type Clock, Secret } from '../core/index.ts'
import { ClientError, errorOf, unexpected } from './client-error.ts'
import type { ProofKey } from './dpop.ts'
import { send } from './http.ts'

export interface Endpoints {
  issuer: string
  authorization: string
  token: string
}

export interface Tokens {
  accessToken: Secret
  accessExpiresAtMs: number
  refreshToken: Secret
  nonce: string | undefined
}

/** OpenID Connect Discovery. Every endpoint must be at the server that was named: a password goes there. */
export async function discover(baseUrl: string): Promise<Endpoints> {
  const response = await send(new URL('/.well-known/openid-configuration', baseUrl), { method: 'GET' })
  if (!response.ok) throw await errorOf(response)
  const found = (await response.json()) as Record<string, unknown>
  const at = (name: string): string => {
    const url = found[name]
    if (typeof url !== 'string' || URL.parse(url)?.origin !== new URL(baseUrl).origin) throw unexpected(name)
    return url
  }
  // Proofs and sign-ins are made for the server's own address; under another name it would refuse them.
  if (found.issuer !== new URL(baseUrl).origin) {
    const own = typeof found.issuer === 'string' ? ` Use ${found.issuer.slice(0, 200)}.` : ''
    throw new ClientError({ code: 'unexpected', status: 0, message: `The server has another address.${own}` })
  }
  return { issuer: at('issuer'), authorization: at('authorization_endpoint'), token: at('token_endpoint') }
}

/** At the token endpoint, with a proof by the key that the tokens are to be bound to. */
export async function requestTokens(o: {
  endpoint: string
  key: ProofKey
  clock: Clock
  parameters: Record<string, string>
  nonce?: string | undefined
}): Promise<Tokens> {
  let response = await post(o)
  let nonce = response.headers.get('dpop-nonce') ?? o.nonce
  // RFC 9449 section 8: the server wants its nonce in the proof; once is enough.
  if (response.status === 400 && response.headers.has('dpop-nonce')) {
    await response.body?.cancel()
    response = await post({ ...o, nonce })
    nonce = response.headers.get('dpop-nonce') ?? nonce
  }
  if (!response.ok) throw await errorOf(response)
  const body = (await response.json()) as Record<string, unknown>
  const { access_token: access, refresh_token: refresh, expires_in: seconds, token_type: type } = body
  if (typeof access !== 'string' || typeof refresh !== 'string' || typeof seconds !== 'number')
    throw unexpected('tokens')
  // A token of another type would not be bound to our key.
  if (typeof type !== 'string' || type.toLowerCase() !== 'dpop') throw unexpected('token_type')
  return {
    accessToken: new Secret(access),
    refreshToken: new Secret(refresh),
    accessExpiresAtMs: o.clock.nowMs() + seconds * 1000,
    nonce,
  }
}

async function post(o: {
  endpoint: string
  key: ProofKey
  parameters: Record<string, string>
  nonce?: string | undefined
}): Promise<Response> {
  const dpop = await o.key.prove({ method: 'POST', url: o.endpoint, nonce: o.nonce })
  return await send(o.endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json', dpop },
    body: new URLSearchParams(o.parameters).toString(),
  })
}
