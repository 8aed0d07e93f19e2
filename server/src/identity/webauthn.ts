import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/server'
import { AppError, type Personal } from '../core/index.ts'

/** What is kept of a passkey (WebAuthn section 4, credential record). */
export interface Credential {
  /** As the authenticator names it, base64url. */
  id: string
  /** COSE_Key, base64url. */
  publicKey: string
  counter: number
  transports: string[]
  /** May be copied between devices by a password manager (backup eligible). */
  synced: boolean
}

/** The ceremonies of WebAuthn, for the relying party that the public URL names. */
export interface WebAuthn {
  creationOptions(o: {
    challenge: string
    userHandle: Uint8Array<ArrayBuffer>
    email: Personal
    name: Personal
    exclude: Credential[]
  }): Promise<PublicKeyCredentialCreationOptionsJSON>
  requestOptions(challenge: string): Promise<PublicKeyCredentialRequestOptionsJSON>
  /** Section 7.1. @throws AppError invalid_request */
  verifyCreation(response: unknown, challenge: string): Promise<Credential>
  /** Section 7.2, but for the counter, which the caller compares under a lock. @throws AppError sign_in_refused */
  verifyAssertion(response: unknown, challenge: string, credential: Credential): Promise<{ counter: number }>
}

// COSE identifiers of EdDSA, ES256 and RS256: what phones, security keys and Windows make.
const ALGORITHMS = [-8, -7, -257]
const TIMEOUT_MS = 300_000
const MAX_CREDENTIAL_ID = 1400

/** Reading it takes a third of a second of this one thread, for attestations bring much of X.509 with them: at the start. */
export const loadWebAuthn = () => import('@simplewebauthn/server')

export function createWebAuthn(o: { issuer: string }): WebAuthn {
  const { origin, hostname } = new URL(o.issuer)
  const expected = { expectedOrigin: origin, expectedRPID: hostname, requireUserVerification: true }
  return {
    async creationOptions({ challenge, userHandle, email, name, exclude }) {
      const { generateRegistrationOptions } = await loadWebAuthn()
      return await generateRegistrationOptions({
        rpName: 'Hearthlock',
        rpID: hostname,
        userID: userHandle,
        userName: email.reveal(),
        userDisplayName: name.reveal(),
        challenge: Buffer.from(challenge, 'base64url'),
        timeout: TIMEOUT_MS,
        attestationType: 'none',
        excludeCredentials: exclude.map(({ id, transports }) => ({ id, transports })),
        // Discoverable, so that a sign-in needs no e-mail address and can tell nobody whether one has an account.
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
        supportedAlgorithmIDs: ALGORITHMS,
      })
    },

    async requestOptions(challenge) {
      const { generateAuthenticationOptions } = await loadWebAuthn()
      return await generateAuthenticationOptions({
        rpID: hostname,
        challenge: Buffer.from(challenge, 'base64url'),
        timeout: TIMEOUT_MS,
        userVerification: 'required',
      })
    },

    async verifyCreation(response, challenge) {
      const refused = (detail: string, cause?: unknown) =>
        new AppError('invalid_request', {
          message: 'This passkey cannot be added. Try again, or use another one.',
          detail,
          cause,
        })
      if (!isCredential(response)) throw refused('not a credential')
      const given = response as unknown as RegistrationResponseJSON
      const { verifyRegistrationResponse } = await loadWebAuthn()
      // An attestation with certificates would make this server fetch the addresses that stand in them.
      if (await hasCertificates(given)) throw refused('an attestation that nobody asked for')
      if (given.clientExtensionResults?.credProps?.rk === false) throw refused('not discoverable')
      const verified = await verifyRegistrationResponse({
        ...expected,
        response: given,
        expectedChallenge: challenge,
        supportedAlgorithmIDs: ALGORITHMS,
      }).catch((cause: unknown) => {
        throw refused('WebAuthn section 7.1', cause)
      })
      if (!verified.verified) throw refused('WebAuthn section 7.1')
      const { credential, credentialDeviceType } = verified.registrationInfo
      return {
        id: credential.id,
        publicKey: Buffer.from(credential.publicKey).toString('base64url'),
        counter: credential.counter,
        transports: (credential.transports ?? []).slice(0, 8),
        synced: credentialDeviceType === 'multiDevice',
      }
    },

    async verifyAssertion(response, challenge, { id, publicKey }) {
      const { verifyAuthenticationResponse } = await loadWebAuthn()
      const verified = await verifyAuthenticationResponse({
        ...expected,
        response: response as AuthenticationResponseJSON,
        expectedChallenge: challenge,
        credential: { id, publicKey: Buffer.from(publicKey, 'base64url'), counter: 0 },
      }).catch((cause: unknown) => {
        throw refusedPasskey('WebAuthn section 7.2', cause)
      })
      if (!verified.verified) throw refusedPasskey('WebAuthn section 7.2: signature')
      return { counter: verified.authenticationInfo.newCounter }
    },
  }
}

/** Alike for every reason; the reason is for the log. */
export function refusedPasskey(detail: string, cause?: unknown): AppError {
  return new AppError('sign_in_refused', { message: 'This passkey cannot be used here.', detail, cause })
}

/** As much of the shape as is read before the library reads the rest. */
export function isCredential(
  value: unknown,
): value is { id: string; response: Record<string, unknown> } & Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const { id, rawId, type, response } = value as Record<string, unknown>
  const named = typeof id === 'string' && id === rawId && id.length > 0 && id.length <= MAX_CREDENTIAL_ID
  return named && type === 'public-key' && typeof response === 'object' && response !== null
}

async function hasCertificates({ response }: RegistrationResponseJSON): Promise<boolean> {
  const { decodeAttestationObject } = await import('@simplewebauthn/server/helpers')
  try {
    const attestation = decodeAttestationObject(Buffer.from(response.attestationObject, 'base64url'))
    return attestation.get('attStmt').get('x5c') !== undefined || !selfMade.has(attestation.get('fmt'))
  } catch {
    // Not to be read at all: refused with the same words.
    return true
  }
}

const selfMade = new Set(['none', 'packed'])
