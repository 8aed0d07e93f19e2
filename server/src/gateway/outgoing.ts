import type { Socket } from 'node:net'
import { encodePubacks } from './publish-codec.ts'

/** Writes what was gathered for all sockets once per turn of the event loop: one write for many PUBACKs. */
export class Flusher {
  #waiting: Outgoing[] = []

  add(outgoing: Outgoing): void {
    if (this.#waiting.push(outgoing) === 1) setImmediate(() => this.#flush())
  }

  #flush(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const outgoing of waiting) outgoing.flush()
  }
}

/** The way out of one connection. */
export class Outgoing {
  readonly #socket: Socket
  readonly #flusher: Flusher
  readonly #maxBytes: number
  readonly #onTooSlow: () => void
  #acks: number[] = []
  #packets: Buffer[] = []
  #scheduled = false

  constructor(o: { socket: Socket; flusher: Flusher; maxBytes: number; onTooSlow: () => void }) {
    this.#socket = o.socket
    this.#flusher = o.flusher
    this.#maxBytes = o.maxBytes
    this.#onTooSlow = o.onTooSlow
  }

  ack(packetId: number): void {
    this.#acks.push(packetId)
    this.#schedule()
  }

  send(packet: Buffer): void {
    this.#gatherAcks()
    this.#packets.push(packet)
    this.#schedule()
  }

  flush(): void {
    this.#scheduled = false
    const socket = this.#socket
    if (!socket.writable) {
      this.#acks.length = 0
      this.#packets.length = 0
      return
    }
    this.#gatherAcks()
    const packets = this.#packets
    if (packets.length === 0) return
    if (packets.length === 1) socket.write(packets[0] as Buffer)
    else socket.write(Buffer.concat(packets))
    packets.length = 0
    if (socket.writableLength > this.#maxBytes) this.#onTooSlow()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#flusher.add(this)
  }

  #gatherAcks(): void {
    if (this.#acks.length === 0) return
    this.#packets.push(encodePubacks(this.#acks))
    this.#acks.length = 0
  }
}
