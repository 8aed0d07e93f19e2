import { fstatSync, readSync } from 'node:fs'

/** Bytes that may be too many to hold. */
export interface Bytes {
  size: number
  /** Fewer than asked for where they end. */
  read(at: number, length: number): Buffer
  stream(at: number): Iterable<Buffer>
}

const STREAM_BYTES = 1_048_576

export function fileBytes(file: number): Bytes {
  const { size } = fstatSync(file)
  function read(at: number, length: number): Buffer {
    const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - at)))
    let filled = 0
    while (filled < buffer.length) {
      const got = readSync(file, buffer, filled, buffer.length - filled, at + filled)
      if (got === 0) break
      filled += got
    }
    return buffer.subarray(0, filled)
  }
  return {
    size,
    read,
    *stream(at) {
      for (let from = at; ; from += STREAM_BYTES) {
        const piece = read(from, STREAM_BYTES)
        if (piece.length > 0) yield piece
        if (piece.length < STREAM_BYTES) return
      }
    },
  }
}

export function memoryBytes(buffer: Buffer): Bytes {
  return {
    size: buffer.length,
    read: (at, length) => buffer.subarray(at, at + length),
    *stream(at) {
      yield buffer.subarray(at)
    },
  }
}
