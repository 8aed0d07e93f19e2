// @peculiar/x509 resolves its parts through decorators: the metadata must be there before it is.
import 'reflect-metadata'
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  randomBytes,
  webcrypto,
} from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

/** A certificate and the private key that belongs to it, PKCS#8 in PEM. */
export interface Identity {
  certificatePem: string
  privateKeyPem: string
}

const DAY_MS = 86_400_000
const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/**
 * No end: RFC 5280 section 4.1.2.5 gives this date that meaning, and IEEE 802.1AR asks for it in a device's own
 * identity. A lock stays in its door for twenty years and may never take a new certificate; what ends a device's
 * access is its row here (the key is looked up at every connection), not a date that devices without a clock can't see.
 */
const NO_END = new Date('9999-12-31T23:59:59Z')

const generate = promisify(generateKeyPair)

/** A new P-256 key pair, made off the main thread. */
export async function newKeyPair(): Promise<{ publicKey: KeyObject; privateKeyPem: string }> {
  const { publicKey, privateKey } = await generate('ec', { namedCurve: 'P-256' })
  return { publicKey, privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string }
}

/** A new certificate authority. It may sign end certificates only: no authority below it. */
export async function newAuthority(nowMs: number): Promise<Identity> {
  const { publicKey, privateKeyPem } = await newKeyPair()
  // The random part tells installations apart in a device that knows several.
  const name = `CN=Hearthlock device authority ${randomBytes(4).toString('hex')}`
  const spki = spkiOf(publicKey)
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: name,
    issuer: name,
    notBefore: new Date(nowMs - DAY_MS),
    notAfter: NO_END,
    publicKey: spki,
    signingKey: await signingKey(privateKeyPem),
    signingAlgorithm: ES256,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(spki),
    ],
  })
  return { certificatePem: certificate.toString('pem'), privateKeyPem }
}

/** Signs with an authority's key, for as long as the process runs. */
export interface Issuer {
  issueDevice(deviceId: string, publicKey: KeyObject, nowMs: number): Promise<string>
  issueServer(
    names: readonly string[],
    publicKey: KeyObject,
    nowMs: number,
    notAfterMs: number,
  ): Promise<string>
}

export async function openIssuer({ certificatePem, privateKeyPem }: Identity): Promise<Issuer> {
  const authority = new X509Certificate(certificatePem)
  const key = await signingKey(privateKeyPem)
  const authorityKeyId = await AuthorityKeyIdentifierExtension.create(authority.publicKey)

  async function issue(
    subject: string,
    publicKey: KeyObject,
    { notBefore, notAfter }: { notBefore: Date; notAfter: Date },
    extensions: (ExtendedKeyUsageExtension | SubjectAlternativeNameExtension)[],
  ): Promise<string> {
    const spki = spkiOf(publicKey)
    const certificate = await X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject,
      issuer: authority.subject,
      notBefore,
      notAfter,
      publicKey: spki,
      signingKey: key,
      signingAlgorithm: ES256,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        ...extensions,
        authorityKeyId,
        await SubjectKeyIdentifierExtension.create(spki),
      ],
    })
    return certificate.toString('pem')
  }

  return {
    issueDevice: (deviceId, publicKey, nowMs) =>
      issue(`CN=${deviceId}`, publicKey, { notBefore: new Date(nowMs - DAY_MS), notAfter: NO_END }, [
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]),
      ]),
    issueServer: (names, publicKey, nowMs, notAfterMs) =>
      issue(
        'CN=Hearthlock device listener',
        publicKey,
        { notBefore: new Date(nowMs - DAY_MS), notAfter: new Date(notAfterMs) },
        [
          new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
          new SubjectAlternativeNameExtension(
            names.map((value) => ({ type: isIP(value) ? ('ip' as const) : ('dns' as const), value })),
          ),
        ],
      ),
  }
}

/** The public key of a PKCS#10 request (RFC 2986; PEM or DER), when its signature proves the private key; else undefined. */
export async function requestedKey(given: string | Buffer): Promise<KeyObject | undefined> {
  try {
    const request = new Pkcs10CertificateRequest(typeof given === 'string' ? given : new Uint8Array(given))
    const key = createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: 'der', type: 'spki' })
    if (!isDeviceKey(key)) return undefined
    return (await request.verify()) ? key : undefined
  } catch {
    // Whatever the parser stumbled over: it is not a request that we can use.
    return undefined
  }
}

/** The keys that devices may have: P-256 and Ed25519. */
function isDeviceKey(key: KeyObject): boolean {
  return (
    key.asymmetricKeyType === 'ed25519' ||
    (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1')
  )
}

export function certificateDer(pem: string): Buffer {
  return Buffer.from(new X509Certificate(pem).rawData)
}

export function spkiOf(key: KeyObject): Buffer<ArrayBuffer> {
  return Buffer.from(key.export({ type: 'spki', format: 'der' }))
}

function signingKey(privateKeyPem: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(privateKeyPem).export({ type: 'pkcs8', format: 'der' })
  return webcrypto.subtle.importKey('pkcs8', Buffer.from(der), ES256, false, ['sign'])
}

/** Positive, 16 random bytes (RFC 5280 section 4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40
  return bytes.toString('hex')
}
