/** PostgreSQL's own compression (src/common/pg_lzcompress.c). Undefined when the bytes are no such thing. */
export function pglzDecompress(data: Uint8Array, rawSize: number): Buffer | undefined {
  const out = Buffer.alloc(rawSize)
  let at = 0
  let size = 0
  while (at < data.length && size < rawSize) {
    let control = data[at++] as number
    for (let bit = 0; bit < 8 && at < data.length && size < rawSize; bit += 1, control >>>= 1) {
      if ((control & 1) === 0) {
        out[size++] = data[at++] as number
        continue
      }
      if (at + 1 >= data.length) return undefined
      const head = data[at++] as number
      const offset = ((head & 0xf0) << 4) | (data[at++] as number)
      let length = (head & 0x0f) + 3
      if (length === 18) {
        if (at >= data.length) return undefined
        length += data[at++] as number
      }
      if (offset === 0 || offset > size) return undefined
      for (let left = Math.min(length, rawSize - size); left > 0; left -= 1) {
        out[size] = out[size - offset] as number
        size += 1
      }
    }
  }
  return size === rawSize && at === data.length ? out : undefined
}

/** One block of LZ4 (lz4_Block_format.md), `history` before it where blocks depend on each other. */
export function lz4Decompress(data: Uint8Array, maxSize: number, history?: Buffer): Buffer | undefined {
  const before = history?.length ?? 0
  const out = Buffer.alloc(before + maxSize)
  history?.copy(out)
  let at = 0
  let size = before
  const longer = (length: number): number => {
    let total = length
    for (let more = 255; more === 255 && at < data.length; ) {
      more = data[at++] as number
      total += more
    }
    return total
  }
  while (at < data.length) {
    const token = data[at++] as number
    const literals = token >>> 4 === 15 ? longer(15) : token >>> 4
    if (at + literals > data.length || size + literals > out.length) return undefined
    out.set(data.subarray(at, at + literals), size)
    at += literals
    size += literals
    if (at === data.length) return out.subarray(before, size)
    if (at + 2 > data.length) return undefined
    const offset = (data[at] as number) | ((data[at + 1] as number) << 8)
    at += 2
    const length = ((token & 15) === 15 ? longer(15) : token & 15) + 4
    if (offset === 0 || offset > size || size + length > out.length) return undefined
    for (let left = length; left > 0; left -= 1) {
      out[size] = out[size - offset] as number
      size += 1
    }
  }
  return undefined
}

const LZ4_HISTORY = 65_536
const LZ4_MAX_BLOCK = [0, 0, 0, 0, 65_536, 262_144, 1_048_576, 4_194_304]

/** An LZ4 frame (lz4_Frame_format.md) from its magic number on, as far as it is there. */
export function* lz4Frame(data: Buffer): Generator<Buffer> {
  if (data.length < 7) return
  const flags = data[4] as number
  const maxSize = LZ4_MAX_BLOCK[((data[5] as number) >>> 4) & 7] ?? 0
  if (flags >>> 6 !== 1 || maxSize === 0) return
  let at = 7 + (flags & 8 ? 8 : 0) + (flags & 1 ? 4 : 0)
  let history = Buffer.alloc(0)
  while (at + 4 <= data.length) {
    const word = data.readUInt32LE(at)
    const size = word & 0x7fffffff
    at += 4
    if (size === 0 || size > maxSize || at + size > data.length) return
    const body = data.subarray(at, at + size)
    const block = word >>> 31 === 1 ? body : lz4Decompress(body, maxSize, flags & 0x20 ? undefined : history)
    if (!block) return
    yield block
    history = Buffer.concat([history, block]).subarray(-LZ4_HISTORY)
    at += size + (flags & 0x10 ? 4 : 0)
  }
}
