import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type JsonWebKey,
  randomBytes,
  sign,
} from 'node:crypto'
import { unexpected } from './client-error.ts'

/** A passkey whose private key is in this program's hands: see docs/decisions/0006. */
export interface SoftwarePasskey {
  /** Host name of the server that it was made for: it signs for no other. */
  rpId: string
  /** base64url */
  credentialId: string
  /** base64url; whose passkey it is */
  userHandle: string
  /** P-256 */
  privateJwk: JsonWebKey
}

/** As much of WebAuthn's options as decides what is signed. */
export interface CeremonyOptions {
  challenge: string
  rpId?: string
  rp?: { id?: string }
  user?: { id: string }
}

// WebAuthn section 6.1: user present, user verified (by the passphrase that opened the key), may be copied, and, where a
// credential is made, attested data follows.
const [PRESENT, VERIFIED, BACKUP_ELIGIBLE, ATTESTED] = [0x01, 0x04, 0x08, 0x40]
const NO_COUNTER = Buffer.alloc(4)
const NO_AAGUID = Buffer.alloc(16)

/** navigator.credentials.create() as RegistrationResponseJSON (section 5.1.8), and the passkey. */
export function createSoftwarePasskey(options: CeremonyOptions, origin: string) {
  const rpId = ofThisServer(options.rp?.id, origin)
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const privateJwk = privateKey.export({ format: 'jwk' })
  const credentialId = randomBytes(32)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(credentialId.length)
  const authData = Buffer.concat([
    authenticatorData(rpId, ATTESTED),
    NO_AAGUID,
    length,
    credentialId,
    coseKey(privateJwk),
  ])
  const id = credentialId.toString('base64url')
  const passkey: SoftwarePasskey = { rpId, credentialId: id, userHandle: options.user?.id ?? '', privateJwk }
  return {
    passkey,
    response: {
      id,
      rawId: id,
      type: 'public-key',
      response: {
        clientDataJSON: clientData('webauthn.create', options.challenge, origin).toString('base64url'),
        attestationObject: attestationObject(authData).toString('base64url'),
        transports: ['internal'],
      },
      clientExtensionResults: {},
    },
  }
}

/** navigator.credentials.get() as AuthenticationResponseJSON. */
export function useSoftwarePasskey(passkey: SoftwarePasskey, options: CeremonyOptions, origin: string) {
  // What keeps a passkey from being phished: it answers the server that it was made for, and no other.
  if (ofThisServer(options.rpId, origin) !== passkey.rpId) throw unexpected('a passkey for another server')
  const authData = authenticatorData(passkey.rpId, 0)
  const client = clientData('webauthn.get', options.challenge, origin)
  const signed = Buffer.concat([authData, createHash('sha256').update(client).digest()])
  const key = createPrivateKey({ key: passkey.privateJwk, format: 'jwk' })
  return {
    id: passkey.credentialId,
    rawId: passkey.credentialId,
    type: 'public-key',
    response: {
      clientDataJSON: client.toString('base64url'),
      authenticatorData: authData.toString('base64url'),
      signature: sign('sha256', signed, key).toString('base64url'),
      userHandle: passkey.userHandle,
    },
    clientExtensionResults: {},
  }
}

function ofThisServer(rpId: string | undefined, origin: string): string {
  const { hostname } = new URL(origin)
  if (rpId !== hostname) throw unexpected('rpId')
  return rpId
}

function authenticatorData(rpId: string, more: number): Buffer {
  const flags = Buffer.from([PRESENT | VERIFIED | BACKUP_ELIGIBLE | more])
  return Buffer.concat([createHash('sha256').update(rpId).digest(), flags, NO_COUNTER])
}

function clientData(type: string, challenge: string, origin: string): Buffer {
  return Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false }))
}

/** COSE_Key of ES256 (RFC 9053 section 7.1.1), in the one CBOR form that section 6.5.1.1 allows. */
function coseKey({ x, y }: JsonWebKey): Buffer {
  const coordinate = (text: string | undefined) => Buffer.from(text ?? '', 'base64url')
  return Buffer.concat([
    Buffer.from('a5010203262001215820', 'hex'),
    coordinate(x),
    Buffer.from('225820', 'hex'),
    coordinate(y),
  ])
}

/** Section 6.5.4, without attestation: { fmt: "none", attStmt: {}, authData }. */
function attestationObject(authData: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from('a363', 'hex'),
    Buffer.from('fmt'),
    Buffer.from('64', 'hex'),
    Buffer.from('none'),
    Buffer.from('67', 'hex'),
    Buffer.from('attStmt'),
    Buffer.from('a068', 'hex'),
    Buffer.from('authData'),
    Buffer.from([0x58, authData.length]),
    authData,
  ])
}
