import { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'

/** A client certificate whose private key TLS has proved. */
export interface PeerCertificate {
  der: Buffer
  /** Signed by the device authority, and valid now. */
  trusted: boolean
}

export function readAuthority(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return blocks.map((block) => new X509Certificate(block))
}

/**
 * Undefined without a certificate. `socket.authorized` alone is not enough: a resumed TLS 1.3 session without a
 * certificate counts as authorized too, and a resumed one carries the result of a check that may be out of date.
 */
export function peerCertificate(
  socket: TLSSocket,
  authority: X509Certificate[],
  nowMs: number,
): PeerCertificate | undefined {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return undefined
  const trusted =
    socket.authorized &&
    nowMs >= Date.parse(certificate.validFrom) &&
    nowMs <= Date.parse(certificate.validTo) &&
    authority.some(
      (issuer) =>
        certificate.checkIssued(issuer) &&
        (!socket.isSessionReused() || certificate.verify(issuer.publicKey)),
    )
  return { der: certificate.raw, trusted }
}
