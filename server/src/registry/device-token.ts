import { type KeyObject, verify } from 'node:crypto'

const MAX_LENGTH = 2048
const AUDIENCE = 'hearthlock'
const MAX_LIFETIME_SECONDS = 3600
/** How far a device's clock may be ahead or behind. */
export const LEEWAY_SECONDS = 60
const BASE64URL = /^[A-Za-z0-9_-]+$/

/**
 * A JWT (RFC 7519) signed by the device's own key, as the MQTT password: one ordered list of checks.
 * The algorithm is the key's, never the token's (RFC 8725 section 3.1): `none`, HS256 and the like have no way in.
 */
export function isDeviceToken(jwt: string, key: KeyObject, deviceId: string, nowMs: number): boolean {
  return signedAt(jwt, key, deviceId, nowMs) !== undefined
}

/** When it says that it was signed, in milliseconds; undefined when it does not hold. */
export function signedAt(jwt: string, key: KeyObject, deviceId: string, nowMs: number): number | undefined {
  const claims = claimsOf(jwt, key)
  if (claims?.sub !== deviceId) return undefined
  if (![claims.aud].flat().includes(AUDIENCE)) return undefined
  return isWithinTime(claims, nowMs / 1000) ? (claims.iat as number) * 1000 : undefined
}

/** The claims of a token that this key has signed. */
function claimsOf(jwt: string, key: KeyObject): Record<string, unknown> | undefined {
  if (jwt.length > MAX_LENGTH) return undefined
  const [header = '', payload = '', signature = '', ...more] = jwt.split('.')
  if (more.length > 0 || ![header, payload, signature].every((part) => BASE64URL.test(part))) return undefined

  const head = parse(header)
  if (head?.alg !== algorithmOf(key)) return undefined
  // An extension that must be understood is not (RFC 7515 section 4.1.11).
  if ('crit' in head || 'b64' in head) return undefined

  const signed = Buffer.from(`${header}.${payload}`)
  if (!isSignature(signed, key, Buffer.from(signature, 'base64url'))) return undefined

  return parse(payload)
}

function isWithinTime({ iat, exp, nbf }: Record<string, unknown>, now: number): boolean {
  if (!isTime(iat) || !isTime(exp)) return false
  if (exp - iat > MAX_LIFETIME_SECONDS || exp <= iat) return false
  if (iat > now + LEEWAY_SECONDS || exp <= now - LEEWAY_SECONDS) return false
  return nbf === undefined || (isTime(nbf) && nbf <= now + LEEWAY_SECONDS)
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function algorithmOf(key: KeyObject): 'ES256' | 'EdDSA' {
  return key.asymmetricKeyType === 'ed25519' ? 'EdDSA' : 'ES256'
}

/** Any length but 64 bytes fails: ECDSA as r and s side by side (RFC 7518 section 3.4), Ed25519 as it is. */
function isSignature(signed: Buffer, key: KeyObject, signature: Buffer): boolean {
  return key.asymmetricKeyType === 'ed25519'
    ? verify(null, signed, key, signature)
    : verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, signature)
}

function parse(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
