import 'reflect-metadata'
import {
  createECDH,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  webcrypto,
} from 'node:crypto'
import { X509CertificateGenerator } from '@peculiar/x509'

/** Something made of what the copy shows, to be taken for the real thing. */
export interface Forgery {
  what: string
  deviceId: string
  password?: string
  certificatePem?: string
  privateKeyPem?: string
}

const b64 = (value: object | Buffer) =>
  (Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value))).toString('base64url')

/** Tokens as a device signs them, by every key but its own (RFC 8725 section 2.1 and 3.1). */
export function forgedTokens(o: {
  deviceId: string
  /** SPKI, as the copy shows it. */
  publicKeys: readonly Buffer[]
  privateKeys: readonly KeyObject[]
  secrets: readonly Buffer[]
  nowMs: number
}): Forgery[] {
  const iat = Math.floor(o.nowMs / 1_000)
  const claims = b64({ sub: o.deviceId, aud: 'hearthlock', iat, exp: iat + 600 })
  const signed = (header: object, signature: (text: string) => Buffer | string) => {
    const text = `${b64(header)}.${claims}`
    const made = signature(text)
    return `${text}.${typeof made === 'string' ? made : b64(made)}`
  }
  const of = (what: string, password: string): Forgery => ({ what, deviceId: o.deviceId, password })
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const es256 = (key: KeyObject) => (text: string) =>
    sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })
  return [
    of(
      'an unsigned token',
      signed({ alg: 'none' }, () => ''),
    ),
    of(
      'a token signed by a key of the attacker',
      signed({ alg: 'ES256', jwk: createPublicKey(own).export({ format: 'jwk' }) }, es256(own)),
    ),
    ...o.publicKeys.map((key) =>
      of(
        'a token with the public key as its secret',
        signed({ alg: 'HS256' }, (text) => createHmac('sha256', key).update(text).digest()),
      ),
    ),
    ...o.secrets.map((key) =>
      of(
        'a token with bytes of the copy as its secret',
        signed({ alg: 'HS256' }, (text) => createHmac('sha256', key).update(text).digest()),
      ),
    ),
    ...o.privateKeys
      .filter(
        (key) => key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1',
      )
      .map((key) => of('a token signed by a key of the copy', signed({ alg: 'ES256' }, es256(key)))),
    ...o.privateKeys
      .filter((key) => key.asymmetricKeyType === 'ed25519')
      .map((key) =>
        of(
          'a token signed by a key of the copy',
          signed({ alg: 'EdDSA' }, (text) => sign(null, Buffer.from(text), key)),
        ),
      ),
  ]
}

const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/** Certificates in the device's name: by itself, and by an authority that only bears the real one's name. */
export async function forgedCertificates(
  deviceId: string,
  authorityName: string,
  nowMs: number,
): Promise<Forgery[]> {
  const keys = () => webcrypto.subtle.generateKey(ES256, true, ['sign', 'verify'])
  const device = await keys()
  const authority = await keys()
  const common = {
    notBefore: new Date(nowMs - 86_400_000),
    notAfter: new Date(nowMs + 86_400_000),
    signingAlgorithm: ES256,
    serialNumber: '01',
  }
  const itself = await X509CertificateGenerator.createSelfSigned({
    ...common,
    name: `CN=${deviceId}`,
    keys: device,
  })
  const byNamesake = await X509CertificateGenerator.create({
    ...common,
    subject: `CN=${deviceId}`,
    issuer: authorityName,
    publicKey: device.publicKey,
    signingKey: authority.privateKey,
  })
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', device.privateKey))
  const privateKeyPem = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({
    type: 'pkcs8',
    format: 'pem',
  }) as string
  return [
    {
      what: 'a certificate signed by itself',
      deviceId,
      certificatePem: itself.toString('pem'),
      privateKeyPem,
    },
    {
      what: 'a certificate by an authority of the same name',
      deviceId,
      certificatePem: byNamesake.toString('pem'),
      privateKeyPem,
    },
  ]
}

/** Whether any of these bytes is the private half of any of these public keys. No door is needed to know. */
export function matchingPrivateKeys(candidates: readonly Buffer[], publicKeys: readonly Buffer[]): number {
  const points = new Set(
    publicKeys.flatMap((spki) => [spki.subarray(-65).toString('hex'), spki.subarray(-32).toString('hex')]),
  )
  return candidates.filter((bytes) => halves(bytes).some((half) => points.has(half))).length
}

/** RFC 8410: how an Ed25519 private key of 32 bytes is wrapped. */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

function halves(bytes: Buffer): string[] {
  const found: string[] = []
  try {
    const curve = createECDH('prime256v1')
    curve.setPrivateKey(bytes)
    found.push(curve.getPublicKey('hex'))
  } catch {
    // Not a number below the order of the curve.
  }
  const key = createPrivateKey({ key: Buffer.concat([ED25519_PKCS8, bytes]), format: 'der', type: 'pkcs8' })
  found.push(createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex'))
  return found
}
