import type { Socket } from 'node:net'
import { type FrameReader, frame } from './frames.ts'
import type { Outgoing } from './outgoing.ts'
import { encodeDisconnect } from './rare-packets.ts'
import { type ReasonCode, reason } from './reason-codes.ts'

/** Why a connection is not read for now. Each is lifted by whoever set it. */
export const hold = {
  connecting: 1,
  congested: 2,
  inFlight: 4,
  resends: 8,
  tenure: 16,
  closing: 32,
  reset: 64,
  void: 128,
} as const
export type Hold = (typeof hold)[keyof typeof hold]

/** How long a closed connection may take to read the last words. */
const LINGER_MS = 2_000

/** What speaks MQTT on a connection: first the CONNECT, then the session. */
export interface PacketHandler {
  /** One complete packet, in the reader. */
  packet(): void
  /** The connection is gone. */
  closed(): void
}

/** One socket: bytes in, bytes out, when to read, and how to end. */
export class Connection {
  readonly socket: Socket
  readonly reader: FrameReader
  readonly outgoing: Outgoing
  handler: PacketHandler
  /** 0 until CONNECT was read. */
  version = 0
  /** What may come ahead of what is read; without a bound once the device is known, for then reading stops instead. */
  maxPendingBytes: number
  /** A packet has come since `sweep` looked last. */
  #active = true
  #heardAtMs: number
  #keepAliveMs = 0
  #holds = 0
  #processing = false
  #closing = false
  #closingUntilMs = 0
  #gone = false

  constructor(o: {
    socket: Socket
    reader: FrameReader
    outgoing: Outgoing
    handler: PacketHandler
    maxPendingBytes: number
    nowMs: number
  }) {
    this.socket = o.socket
    this.reader = o.reader
    this.outgoing = o.outgoing
    this.handler = o.handler
    this.maxPendingBytes = o.maxPendingBytes
    this.#heardAtMs = o.nowMs
    o.socket.on('data', (chunk: Buffer) => this.#read(chunk))
    o.socket.once('close', () => this.#end())
  }

  get open(): boolean {
    return !this.#gone && !this.#closing
  }

  /** Stops reading; what has come stays where it is. */
  hold(why: Hold): void {
    if (this.#holds === 0) this.socket.pause()
    this.#holds |= why
  }

  lift(why: Hold): void {
    if ((this.#holds & why) === 0) return
    this.#holds &= ~why
    if (this.#holds !== 0 || this.#gone) return
    this.#active = true
    this.#process()
    if (this.#holds === 0) this.socket.resume()
  }

  /** From now on a packet must come within one and a half times this (MQTT 5 section 3.1.2.10). 0: no limit. */
  keepAlive(seconds: number): void {
    this.#keepAliveMs = seconds * 1_500
  }

  /** True when the device was silent for too long. */
  sweep(nowMs: number): boolean {
    if (this.#closing) {
      this.#closingUntilMs ||= nowMs + LINGER_MS
      if (nowMs >= this.#closingUntilMs) this.socket.destroy()
      return false
    }
    // While we do not read, silence is ours.
    if (this.#active || this.#holds !== 0) {
      this.#active = false
      this.#heardAtMs = nowMs
      return false
    }
    return this.#keepAliveMs > 0 && nowMs - this.#heardAtMs >= this.#keepAliveMs
  }

  /** Ends with a reason, which MQTT 5 can carry (section 3.14) and 3.1.1 cannot. */
  close(code: ReasonCode, text: string): void {
    if (!this.open) return
    if (this.version === 5) this.outgoing.send(encodeDisconnect(code, text))
    this.end()
  }

  /** Sends what is gathered and ends. Reads on for a moment: closing on unread bytes would lose the last words. */
  end(): void {
    if (!this.open) return
    this.#closing = true
    this.outgoing.flush()
    this.socket.end()
    this.#holds |= hold.closing
    this.socket.resume()
    this.handler.closed()
  }

  /** Ends at once. */
  destroy(): void {
    this.socket.destroy()
  }

  #end(): void {
    if (this.#gone) return
    const wasOpen = this.open
    this.#gone = true
    if (wasOpen) this.handler.closed()
  }

  #read(chunk: Buffer): void {
    if (!this.open) return
    this.reader.push(chunk)
    if (this.#holds === 0) this.#process()
    if (this.reader.pendingBytes > this.maxPendingBytes) this.destroy()
  }

  #process(): void {
    if (this.#processing) return
    this.#processing = true
    const { reader } = this
    while (this.#holds === 0) {
      const status = reader.next()
      if (status === frame.complete) {
        this.#active = true
        this.handler.packet()
        continue
      }
      if (status === frame.malformed) this.close(reason.malformedPacket, 'a packet length is malformed')
      if (status === frame.tooLarge)
        this.close(reason.packetTooLarge, `a packet may have ${reader.maxBytes} bytes at most`)
      break
    }
    this.#processing = false
  }
}
