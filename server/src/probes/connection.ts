import type { Socket } from 'node:net'
import type { Allowance } from './allowance.ts'
import { startTls, type TlsOptions, tlsFacts, tlsKind } from './dial.ts'
import { ProbeFailure } from './failure.ts'
import type { TlsFacts } from './observation.ts'

/** A conversation, read by asking for bytes. Whatever is asked ends by the probe's time, and within its allowance. */
export interface Connection {
  write(bytes: Uint8Array | string): void
  /** Exactly so many. @throws ProbeFailure */
  read(count: number): Promise<Buffer>
  /** Up to and with the delimiter. @throws ProbeFailure garbled when it does not come within `atMost` bytes */
  readUntil(delimiter: string, atMost: number): Promise<Buffer>
  /** What comes next, at least one byte. @throws ProbeFailure */
  readSome(): Promise<Buffer>
  /** What has come within so long without being asked for; it stays to be read. Empty when nothing did, or it hung up. */
  banner(milliseconds: number): Promise<Buffer>
  /** Goes on in TLS, on the same connection. @throws ProbeFailure */
  startTls(options?: TlsOptions): Promise<void>
  /** Of a conversation in TLS. */
  readonly tls: TlsFacts | undefined
  close(): void
}

export function createConnection(o: {
  socket: Socket
  allowance: Allowance
  signal: AbortSignal
  servername: string | undefined
}): Connection {
  const { allowance, signal } = o
  let socket = o.socket
  let held = Buffer.alloc(0)
  let from = 0
  let to = 0
  let failure: ProbeFailure | undefined
  let wake = () => {}

  let tls: TlsFacts | undefined

  const fail = (error: ProbeFailure) => {
    failure ??= error.tls || !tls ? error : new ProbeFailure(error.kind, tls)
    socket.destroy()
    wake()
  }
  const onAbort = () => fail(new ProbeFailure('timed-out'))
  const onData = (chunk: Buffer) => {
    try {
      allowance.heard(chunk.length)
    } catch (error) {
      fail(error as ProbeFailure)
      return
    }
    append(chunk)
    wake()
  }
  const onError = (error: NodeJS.ErrnoException) => {
    const wanted = tls !== undefined && tlsKind(error) === 'certificate-wanted'
    fail(new ProbeFailure(wanted ? 'certificate-wanted' : 'closed'))
  }
  const onClose = () => fail(new ProbeFailure('closed'))

  /** Doubling, so that a server which sends byte by byte costs no more than one that does not. */
  function append(chunk: Buffer): void {
    if (to + chunk.length > held.length) {
      const larger = Buffer.allocUnsafe(Math.max(4_096, 2 * (to - from + chunk.length)))
      to = held.copy(larger, 0, from, to)
      from = 0
      held = larger
    }
    to += chunk.copy(held, to)
  }

  function take(count: number): Buffer {
    from += count
    return Buffer.from(held.subarray(from - count, from))
  }

  const heldLength = () => to - from

  /** Waits until there is more, or throws why there will not be. */
  async function more(): Promise<void> {
    const before = heldLength()
    while (heldLength() === before) {
      if (failure) throw failure
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }

  function listen(): void {
    socket.on('data', onData)
    socket.on('error', onError)
    socket.on('end', onClose)
    socket.on('close', onClose)
  }

  function unlisten(): void {
    socket.off('data', onData)
    socket.off('error', onError)
    socket.off('end', onClose)
    socket.off('close', onClose)
  }

  listen()
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()

  return {
    write(bytes) {
      if (!failure) socket.write(bytes)
    },
    async read(count) {
      while (heldLength() < count) await more()
      return take(count)
    },
    async readUntil(delimiter, atMost) {
      let searched = 0
      for (;;) {
        const at = held.subarray(from, to).indexOf(delimiter, searched, 'latin1')
        if (at >= 0 && at + delimiter.length <= atMost) return take(at + delimiter.length)
        if (at >= 0 || heldLength() >= atMost) throw new ProbeFailure('garbled', tls)
        searched = Math.max(0, heldLength() - delimiter.length + 1)
        await more()
      }
    },
    async readSome() {
      if (heldLength() === 0) await more()
      return take(heldLength())
    },
    async banner(milliseconds) {
      if (heldLength() === 0 && !failure) {
        const { promise, resolve } = Promise.withResolvers<void>()
        const timer = setTimeout(resolve, milliseconds)
        wake = resolve
        await promise
        clearTimeout(timer)
      }
      return Buffer.from(held.subarray(from, to))
    },
    async startTls(options = {}) {
      // Bytes from before the handshake would otherwise be taken for some that came inside it.
      if (heldLength() > 0) throw new ProbeFailure('garbled')
      if (failure) throw failure
      unlisten()
      const names = o.servername === undefined ? {} : { servername: o.servername }
      const secure = await startTls(socket, { ...names, ...options }, signal)
      // Read now: of a connection that is over there is nothing left to read.
      tls = tlsFacts(secure)
      socket = secure
      listen()
    },
    get tls() {
      return tls
    },
    close() {
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
    },
  }
}
