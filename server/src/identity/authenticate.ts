import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { calculateJwkThumbprint, type JWK } from 'jose'
import { type AccountId, AppError, type Clock } from '../core/index.ts'
import type { Account } from './accounts.ts'
import { clientOf } from './clients.ts'
import type { DpopNonces } from './dpop-nonces.ts'
import type { Principal, ResourceRequest, SignInMethod } from './face.ts'
import type { ReplayCache } from './replay-cache.ts'

/** What the check must know of an access token. */
export interface BoundToken {
  accountId: string
  clientId: string
  grantId: string
  /** The thumbprint of the key that the token is bound to (RFC 9449 section 6, `cnf.jkt`). */
  jkt: string | undefined
  /** When and how the sign-in was made (RFC 9068 section 2.2.1). */
  authTimeSeconds: number
  amr: SignInMethod[]
  /** In which it was issued (reset-epochs.ts). */
  epoch: number
}

export interface AuthenticateOptions {
  issuer: () => string
  clock: Clock
  replays: ReplayCache
  nonces: Pick<DpopNonces, 'accepts'>
  /** `undefined` when there is no such token, or it has expired or been revoked. */
  findToken(token: string): Promise<BoundToken | undefined>
  /** The grant, while the sign-in lasts: its public handle and to whom it was given. */
  findGrant(grantId: string): Promise<{ handle: string; accountId: string; clientId: string } | undefined>
  findAccount(accountId: AccountId): Promise<Account | undefined>
}

const IAT_WINDOW_SECONDS = 60
const MAX_PROOF_LENGTH = 4096
const MAX_JTI_LENGTH = 128

/** The asymmetric algorithms that we take (RFC 9449 section 4.3, check 5), each with its one kind of key. */
const algorithms = new Map<unknown, { kty: string; crv: string; hash: string | null }>([
  ['ES256', { kty: 'EC', crv: 'P-256', hash: 'sha256' }],
  ['EdDSA', { kty: 'OKP', crv: 'Ed25519', hash: null }],
  ['Ed25519', { kty: 'OKP', crv: 'Ed25519', hash: null }],
])
/** For `WWW-Authenticate: DPoP algs="…"` (RFC 9449 section 7.1). */
export const dpopAlgorithms = 'ES256 EdDSA Ed25519'

/**
 * Is this request made by the holder of the key that the access token is bound to? One list, top to bottom.
 * "4.3 (n)" is the n-th check of RFC 9449 section 4.3. What needs no look-up comes first; the proof is remembered
 * last, so that only whoever holds a living token can make that memory grow.
 * @throws AppError unauthenticated, alike for every reason (the reason is in `detail`, for the log); use_dpop_nonce
 */
export function createAuthenticate(o: AuthenticateOptions): (request: ResourceRequest) => Promise<Principal> {
  return async (request) => {
    const token = schemeDPoP(request.authorization) // section 7.1
    const proof = oneProof(request.dpop) // 4.3 (1)
    const jwt = wellFormed(proof) // 4.3 (2)
    const { header, claims } = jwt
    const algorithm = algorithms.get(header.alg)

    refuseUnless(hasRequiredClaims(claims), '4.3 (3): a required claim is missing')
    refuseUnless(header.typ === 'dpop+jwt', '4.3 (4): typ')
    refuseUnless(algorithm, '4.3 (5): alg')
    refuseUnless(isObject(header.jwk), '4.3 (6): jwk')
    refuseUnless(header.jwk.kty === algorithm.kty && header.jwk.crv === algorithm.crv, '4.3 (6): key type')
    refuseUnless(!privateMembers.some((member) => member in (header.jwk as object)), '4.3 (7): private key')
    refuseUnless(claims.htm === request.method, '4.3 (8): htm')
    refuseUnless(sameUri(claims.htu, request.url, o.issuer()), '4.3 (9): htu')
    // Before anything that costs: whoever has no nonce of this process is to come again with one.
    if (!o.nonces.accepts(claims.nonce)) throw new AppError('use_dpop_nonce') // 4.3 (10), section 9
    refuseUnless(isRecent(claims.iat, o.clock.nowMs()), '4.3 (11): iat')
    refuseUnless(claims.ath === sha256(token), '4.3 (12a): ath')
    refuseUnless(verifies(jwt, header.jwk, algorithm.hash), '4.3 (6): signature')

    const bound = await o.findToken(token)
    refuseUnless(bound, '7.1: the token is not active')
    const jkt = await calculateJwkThumbprint(publicPart(header.jwk))
    refuseUnless(bound.jkt === jkt, '4.3 (12b): bound to another key')
    const [grant, account] = await Promise.all([
      o.findGrant(bound.grantId),
      o.findAccount(bound.accountId as AccountId),
    ])
    refuseUnless(grant, '7.1: the sign-in has ended')
    refuseUnless(
      grant.accountId === bound.accountId && grant.clientId === bound.clientId,
      '7.1: the token is of another sign-in',
    )
    refuseUnless(account, '7.1: the account is gone')
    refuseUnless(account.kind === clientOf(bound.clientId)?.kind, '7.1: a client for another kind of account')
    refuseUnless(
      account.kind !== 'operator' || bound.amr.some((method) => method === 'hwk' || method === 'swk'),
      '7.1: an operator who did not sign in with a passkey',
    )
    const unseen = o.replays.remember(
      sha256(`${jkt} ${claims.jti}`),
      (claims.iat + IAT_WINDOW_SECONDS) * 1000,
    )
    refuseUnless(unseen, '11.1: replayed')

    return {
      accountId: account.accountId,
      kind: account.kind,
      roles: account.roles,
      sessionId: grant.handle,
      signedInAtMs: bound.authTimeSeconds * 1000,
      methods: bound.amr,
      epoch: bound.epoch,
    }
  }
}

interface Jwt {
  header: Record<string, unknown>
  claims: Record<string, unknown>
  signed: Buffer
  signature: Buffer
}

interface RequiredClaims {
  jti: string
  htm: string
  htu: string
  iat: number
  ath: string
}

function refuseUnless(holds: unknown, detail: string): asserts holds {
  if (!holds) throw new AppError('unauthenticated', { detail: `RFC 9449 ${detail}` })
}

function schemeDPoP(authorization: string | undefined): string {
  // Case-insensitive scheme (RFC 9110 section 11.1), then one token68.
  const match = /^dpop ([A-Za-z0-9._~+/-]{1,512}=*)$/i.exec(authorization ?? '')
  refuseUnless(match, '7.1: no DPoP authorization')
  return match[1] as string
}

function oneProof(dpop: string | string[] | undefined): string {
  const [proof, ...more] = [dpop].flat()
  refuseUnless(proof !== undefined && more.length === 0, '4.3 (1): not one DPoP header')
  return proof
}

function wellFormed(proof: string): Jwt {
  const match = proof.length <= MAX_PROOF_LENGTH && /^([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(proof)
  refuseUnless(match, '4.3 (2): not a JWT')
  const [, header, claims, signature] = match as unknown as [string, string, string, string]
  const parsed = { header: jsonObject(header), claims: jsonObject(claims) }
  return {
    ...parsed,
    signed: Buffer.from(`${header}.${claims}`),
    signature: Buffer.from(signature, 'base64url'),
  }
}

function jsonObject(part: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(part, 'base64url').toString())
  } catch {
    // Not JSON: said below.
  }
  refuseUnless(isObject(value), '4.3 (2): not a JWT')
  return value
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Section 4.2, with a bound on what has to be remembered. */
function hasRequiredClaims(
  claims: Record<string, unknown>,
): claims is Record<string, unknown> & RequiredClaims {
  const { jti, htm, htu, iat, ath } = claims
  const texts = [jti, htm, htu, ath].every((claim) => typeof claim === 'string' && claim.length > 0)
  return texts && (jti as string).length <= MAX_JTI_LENGTH && Number.isFinite(iat)
}

/** RFC 7518 section 6: what only a private or symmetric key has. */
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

function publicPart(jwk: Record<string, unknown>): JWK {
  const { kty, crv, x, y } = jwk as JWK
  return { ...(kty && { kty }), ...(crv && { crv }), ...(x && { x }), ...(kty === 'EC' && y && { y }) }
}

/** Without query and fragment, after the normalisation of RFC 3986 section 6.2.2 and 6.2.3 (WHATWG URL does it). */
function sameUri(htu: string, url: string, issuer: string): boolean {
  const claimed = URL.parse(htu)
  // A path is not resolved against the public URL: "//elsewhere/" would lead away from it.
  const requested = URL.parse(url.startsWith('/') ? new URL(issuer).origin + url : url)
  if (!claimed || !requested) return false
  for (const uri of [claimed, requested]) {
    uri.search = ''
    uri.hash = ''
  }
  return claimed.href === requested.href && requested.origin === new URL(issuer).origin
}

function isRecent(iatSeconds: number, nowMs: number): boolean {
  return Math.abs(nowMs / 1000 - iatSeconds) <= IAT_WINDOW_SECONDS
}

function verifies(jwt: Jwt, jwk: Record<string, unknown>, hash: string | null): boolean {
  let key: KeyObject
  try {
    key = createPublicKey({ key: publicPart(jwk), format: 'jwk' })
  } catch {
    return false
  }
  return verify(hash, jwt.signed, { key, dsaEncoding: 'ieee-p1363' }, jwt.signature)
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}
