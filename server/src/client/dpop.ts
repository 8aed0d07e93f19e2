import { createHash, randomUUID } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose'
import type { Clock, Secret } from '../core/index.ts'

/** A client's key pair, and the proofs of possession that it makes (RFC 9449). */
export interface ProofKey {
  readonly privateJwk: JWK
  /** RFC 7638 thumbprint: binds an authorization code to this key (RFC 9449 section 10). */
  readonly thumbprint: string
  /** A proof for one request. With `accessToken` for a resource (`ath`), without for the token endpoint. */
  prove(o: {
    method: string
    url: string | URL
    accessToken?: Secret | undefined
    nonce?: string | undefined
  }): Promise<string>
}

export async function newProofKey(clock: Clock): Promise<ProofKey> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return openProofKey(await exportJWK(privateKey), clock)
}

export async function openProofKey(privateJwk: JWK, clock: Clock): Promise<ProofKey> {
  const key = await importJWK(privateJwk, 'ES256')
  const { kty, crv, x, y } = privateJwk
  const jwk = { kty, crv, x, y } as JWK
  return {
    privateJwk,
    thumbprint: await calculateJwkThumbprint(jwk),
    async prove({ method, url, accessToken, nonce }) {
      const target = new URL(url)
      const claims = {
        jti: randomUUID(),
        htm: method,
        // Section 4.2: without query and fragment.
        htu: target.origin + target.pathname,
        ...(accessToken
          ? { ath: createHash('sha256').update(accessToken.reveal()).digest('base64url') }
          : {}),
        ...(nonce ? { nonce } : {}),
      }
      return await new SignJWT(claims)
        .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk })
        .setIssuedAt(Math.floor(clock.nowMs() / 1000))
        .sign(key)
    },
  }
}
