import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type PeerCertificate, type TLSSocket } from 'node:tls'
import { ProbeFailure } from './failure.ts'
import type { TlsFacts } from './observation.ts'

export interface TlsOptions {
  /** For the server's choice of certificate; never an IP address (RFC 6066). */
  servername?: string
  alpnProtocols?: string[]
}

/** @throws ProbeFailure refused, unreachable, timed-out */
export function dial(o: {
  ip: string
  port: number
  connectMilliseconds: number
  signal: AbortSignal
}): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp({ host: o.ip, port: o.port, noDelay: true })
    const end = (error: ProbeFailure) => {
      settle()
      socket.on('error', () => {})
      socket.destroy()
      reject(error)
    }
    const onAbort = () => end(new ProbeFailure('timed-out'))
    const timer = setTimeout(onAbort, o.connectMilliseconds)
    const onError = (error: NodeJS.ErrnoException) => end(new ProbeFailure(connectKind(error.code)))
    const settle = () => {
      clearTimeout(timer)
      o.signal.removeEventListener('abort', onAbort)
      socket.off('error', onError)
    }
    socket.once('error', onError)
    socket.once('connect', () => {
      settle()
      resolve(socket)
    })
    if (o.signal.aborted) onAbort()
    else o.signal.addEventListener('abort', onAbort, { once: true })
  })
}

function connectKind(code: string | undefined): 'refused' | 'timed-out' | 'unreachable' {
  if (code === 'ECONNREFUSED' || code === 'ECONNRESET') return 'refused'
  return code === 'ETIMEDOUT' ? 'timed-out' : 'unreachable'
}

/**
 * Any certificate is accepted, for a stranger would not care either; whether it verifies is noted.
 * @throws ProbeFailure not-tls, certificate-wanted, timed-out, closed
 */
export function startTls(socket: Socket, options: TlsOptions, signal: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const secure = connectTls({
      socket,
      rejectUnauthorized: false,
      // Old servers are the ones that stand open: what they speak is noted, not refused.
      minVersion: 'TLSv1',
      ciphers: 'DEFAULT:@SECLEVEL=0',
      ...(options.servername !== undefined && { servername: options.servername }),
      ...(options.alpnProtocols && { ALPNProtocols: options.alpnProtocols }),
    })
    const end = (error: ProbeFailure) => {
      settle()
      secure.on('error', () => {})
      secure.destroy()
      socket.destroy()
      reject(error)
    }
    const onAbort = () => end(new ProbeFailure('timed-out'))
    const onClose = () => end(new ProbeFailure('not-tls'))
    const onError = (error: NodeJS.ErrnoException) => end(new ProbeFailure(tlsKind(error)))
    const settle = () => {
      signal.removeEventListener('abort', onAbort)
      secure.off('error', onError)
      secure.off('close', onClose)
    }
    secure.once('error', onError)
    secure.once('close', onClose)
    secure.once('secureConnect', () => {
      settle()
      resolve(secure)
    })
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}

/** A client's certificate may be asked for in the handshake, or (TLS 1.3) with the first bytes after it. */
export function tlsKind(error: NodeJS.ErrnoException): 'certificate-wanted' | 'not-tls' {
  return /CERTIFICATE_REQUIRED|BAD_CERTIFICATE/.test(error.code ?? '') ? 'certificate-wanted' : 'not-tls'
}

export function tlsFacts(socket: TLSSocket): TlsFacts {
  const problem = socket.authorized ? undefined : problemOf(socket.authorizationError)
  // Of the type, always there; in truth null where the connection is over already.
  const certificate: Partial<PeerCertificate> | null = socket.getPeerCertificate()
  const validTo = certificate?.valid_to
  const expires = validTo === undefined ? Number.NaN : Date.parse(validTo)
  return {
    version: socket.getProtocol() ?? 'unknown',
    verified: socket.authorized,
    ...(problem !== undefined && { problem }),
    ...(Number.isFinite(expires) && { expiresAt: new Date(expires).toISOString() }),
  }
}

/** Of the type, an Error; in truth OpenSSL's code as a string, or an Error with one. */
function problemOf(error: unknown): string {
  if (typeof error === 'string') return error
  return (error as NodeJS.ErrnoException | null)?.code ?? 'unverified'
}
