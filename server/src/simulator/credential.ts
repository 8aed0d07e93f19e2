import 'reflect-metadata'
import { createPrivateKey, sign, webcrypto, X509Certificate } from 'node:crypto'
import { Pkcs10CertificateRequestGenerator } from '@peculiar/x509'
import { Secret } from '../core/index.ts'

/** What proves who a device is: a certificate, and the private key to it (PKCS#8), both PEM. */
export interface Credential {
  certificatePem: string
  privateKeyPem: Secret
}

const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/** A device's new key pair on its way to a certificate. */
export interface Renewal {
  /** What it answers to `OperationalCredentials.CSRRequest`. */
  response: { NOCSRElements: string; AttestationSignature: string }
  /** With the certificate of `OperationalCredentials.UpdateNOC`. */
  complete(nocValue: string): Credential
}

/** Makes a new key pair. The present key vouches for it, and for the server's nonce. */
export async function beginRenewal(present: Credential, csrNonce: string): Promise<Renewal> {
  const keys = await webcrypto.subtle.generateKey(ES256, true, ['sign', 'verify'])
  const request = await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: ES256 })
  const elements = Buffer.from(request.rawData)
  const signed = Buffer.concat([elements, Buffer.from(csrNonce, 'base64')])
  const key = createPrivateKey(present.privateKeyPem.reveal())
  const signature =
    key.asymmetricKeyType === 'ed25519'
      ? sign(null, signed, key)
      : sign('sha256', signed, { key, dsaEncoding: 'ieee-p1363' })
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const privateKeyPem = new Secret(privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
  return {
    response: {
      NOCSRElements: elements.toString('base64'),
      AttestationSignature: signature.toString('base64'),
    },
    complete: (nocValue) => ({
      certificatePem: new X509Certificate(Buffer.from(nocValue, 'base64')).toString(),
      privateKeyPem,
    }),
  }
}
