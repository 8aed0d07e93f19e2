import { randomBytes } from 'node:crypto'
import { createServer, isIP, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { AppError, type Clock } from '../core/index.ts'
import { type Admission, type Admitted, isLoopback } from './admission.ts'
import type { TlsListenerOptions } from './face.ts'
import { type PeerCertificate, peerCertificate, readAuthority } from './peer-certificate.ts'

/** A connection on which MQTT begins: accepted, and its TLS handshake done. */
export interface Accepted {
  socket: Socket
  admitted: Admitted
  secure: boolean
  certificate: PeerCertificate | undefined
  /** The certificate's key was not proved now but when the TLS session began that goes on here (RFC 8446 section 2.2). */
  resumed: boolean
}

export interface Listener {
  listen(): Promise<number>
  /** TLS sessions of before cannot be resumed any more. */
  forgetSessions(): void
  close(): Promise<void>
}

export interface ListenerDependencies {
  admission: Admission
  onConnection: (accepted: Accepted) => void
}

/** Of node:tls. */
const TICKET_KEYS_BYTES = 48
const socketOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }

/** Without TLS; refused anywhere but on loopback, for passwords would cross the network in plain. */
export function plainListener(
  { host, port }: { host: string; port: number },
  { admission, onConnection }: ListenerDependencies,
): Listener {
  if (isIP(host) === 0 || !isLoopback(host))
    throw new AppError('start_refused', {
      message: 'MQTT without TLS may listen on a loopback address only.',
    })
  const server = createServer(socketOptions, (socket) => {
    socket.on('error', ignore)
    const admitted = admission.admit(socket)
    if (admitted) onConnection({ socket, admitted, secure: false, certificate: undefined, resumed: false })
  })
  return listener(server, host, port, () => {})
}

/**
 * TLS 1.2 and 1.3. A client certificate is asked for, not demanded: devices with a token or a password have none.
 * Whether one that is presented holds is for `peerCertificate` to say, so that the device gets an MQTT answer.
 */
export function tlsListener(
  { host, port, certificatePem, privateKeyPem, authorityPem }: TlsListenerOptions,
  { admission, onConnection, clock }: ListenerDependencies & { clock: Clock },
): Listener {
  const authority = readAuthority(authorityPem)
  // From the TCP connection to its TLS socket: both have the same remote end.
  const handshaking = new Map<string, Admitted>()
  const tls = createTlsServer({
    cert: certificatePem,
    key: privateKeyPem.reveal(),
    ca: authorityPem,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    // Our own deadline covers the handshake and the CONNECT after it.
    handshakeTimeout: 120_000,
  })
  tls.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', ignore)
    const admitted = handshaking.get(remoteEnd(socket))
    if (admitted === undefined) {
      socket.destroy()
      return
    }
    const certificate = peerCertificate(socket, authority, clock.nowMs())
    onConnection({ socket, admitted, secure: true, certificate, resumed: socket.isSessionReused() })
  })
  tls.on('tlsClientError', (_error, socket) => socket.destroy())
  const server = createServer(socketOptions, (socket) => {
    socket.on('error', ignore)
    const admitted = admission.admit(socket)
    if (admitted === undefined) return
    const end = remoteEnd(socket)
    handshaking.set(end, admitted)
    socket.once('close', () => {
      if (handshaking.get(end) === admitted) handshaking.delete(end)
    })
    tls.emit('connection', socket)
  })
  return listener(server, host, port, () => tls.setTicketKeys(randomBytes(TICKET_KEYS_BYTES)))
}

function listener(server: Server, host: string, port: number, forgetSessions: () => void): Listener {
  return {
    forgetSessions,
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', (error: NodeJS.ErrnoException) => reject(refused(error, port)))
        server.listen({ host, port, backlog: 1024 }, () => {
          const address = server.address()
          resolve(typeof address === 'object' && address !== null ? address.port : port)
        })
      }),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

function refused(error: NodeJS.ErrnoException, port: number): AppError {
  const message =
    error.code === 'EADDRINUSE'
      ? `The MQTT port ${port} is taken by another program.`
      : `The MQTT port ${port} cannot be opened (${error.code ?? error.name}).`
  return new AppError('start_refused', { message, cause: error })
}

function remoteEnd(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`
}

// A connection's 'close' follows its 'error': there is nothing more to learn from it.
function ignore(): void {}
