/** What `FrameReader.next` found. */
export const frame = { more: 0, complete: 1, malformed: 2, tooLarge: 3 } as const
export type FrameStatus = (typeof frame)[keyof typeof frame]

const FIRST_CAPACITY = 256

/**
 * Cuts the byte stream into MQTT control packets (MQTT 5 section 2.1). A packet that lies whole in a chunk is not
 * copied; what is kept of an unfinished one grows with the bytes that came, never with the length it announces.
 */
export class FrameReader {
  /** Largest packet, fixed header included. */
  maxBytes: number
  /** The complete packet: its first byte, and where its variable header and its end lie in `buffer`. */
  buffer: Buffer = Buffer.alloc(0)
  header = 0
  start = 0
  end = 0
  #limit = 0
  #frameStart = 0
  #next = 0
  // Whether `buffer` is our own copy of an unfinished packet, into which more may be written.
  #own = false

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** Bytes that have come and are not read yet. */
  get pendingBytes(): number {
    return this.#limit - this.#next
  }

  push(chunk: Buffer): void {
    const pending = this.#limit - this.#next
    if (pending === 0) {
      this.buffer = chunk
      this.#own = false
      this.#next = 0
      this.#limit = chunk.length
      return
    }
    const needed = pending + chunk.length
    if (!this.#own || this.#next + needed > this.buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, pending * 2, FIRST_CAPACITY))
      this.buffer.copy(grown, 0, this.#next, this.#limit)
      this.buffer = grown
      this.#own = true
      this.#next = 0
      this.#limit = pending
    }
    chunk.copy(this.buffer, this.#limit)
    this.#limit += chunk.length
  }

  next(): FrameStatus {
    const { buffer } = this
    const limit = this.#limit
    let position = this.#next
    if (limit - position < 2) return this.#keep()
    const frameStart = position
    const header = buffer[position++] as number
    let remaining = 0
    let shift = 0
    for (;;) {
      if (position === limit) return this.#keep()
      const byte = buffer[position++] as number
      remaining |= (byte & 0x7f) << shift
      if (byte < 0x80) break
      shift += 7
      if (shift === 28) return frame.malformed
    }
    const end = position + remaining
    if (end - frameStart > this.maxBytes) return frame.tooLarge
    if (end > limit) return this.#keep()
    this.header = header
    this.start = position
    this.end = end
    this.#frameStart = frameStart
    this.#next = end
    // Slices of this buffer are handed on with the packet, so that nothing may be written into it any more.
    this.#own = false
    return frame.complete
  }

  /** The packet that `next` returned comes again at the next call. */
  again(): void {
    this.#next = this.#frameStart
  }

  /** The packet's bytes, fixed header included. */
  bytes(): Buffer {
    return this.buffer.subarray(this.#frameStart, this.end)
  }

  // A few bytes must not hold on to the whole chunk that they came in.
  #keep(): FrameStatus {
    const pending = this.#limit - this.#next
    if (pending === 0) {
      this.buffer = EMPTY
      this.#next = 0
      this.#limit = 0
      this.#own = false
    } else if (!this.#own) {
      const copy = Buffer.allocUnsafeSlow(Math.max(pending, FIRST_CAPACITY))
      this.buffer.copy(copy, 0, this.#next, this.#limit)
      this.buffer = copy
      this.#own = true
      this.#next = 0
      this.#limit = pending
    }
    return frame.more
  }
}

const EMPTY = Buffer.alloc(0)
