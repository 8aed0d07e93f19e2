import type { Pattern } from './encodings.ts'

/** Many patterns, ready to be looked for; plain shared memory, so that every thread reads the same one. */
export interface Matcher {
  /** Bytes from one look to the next. */
  step: number
  longest: number
  filter: Uint8Array
  /** Open addressing: a block, and where its postings begin. */
  blocks: Uint32Array
  first: Int32Array
  postings: Int32Array
  bytes: Uint8Array
  starts: Uint32Array
  ignoreCase: Uint8Array
}

const BLOCK_BYTES = 4
const FILTER_BITS = 24
/** Sets the bit by which ASCII letters differ in case, in all four bytes of a block. */
const FOLD = 0x20202020
const POSTING = 3

/**
 * Of every stretch of `step` + 3 bytes of a pattern, one block of four begins at a multiple of `step`, wherever the
 * pattern stands. So it is enough to look at every `step`th byte and to know `step` blocks of each pattern: first in a
 * bit map that stays in the processor's cache, rarely in a table, and then byte by byte.
 */
export function compileMatcher(patterns: readonly Pattern[]): Matcher {
  const shortest = patterns.reduce((least, { bytes }) => Math.min(least, bytes.length), 64)
  const step = Math.max(1, shortest - BLOCK_BYTES + 1)
  const chosen = chooseBlocks(patterns, step)
  const size = 2 ** Math.ceil(Math.log2(Math.max(16, chosen.size * 2)))
  const count = [...chosen.values()].reduce((sum, list) => sum + list.length, 0)
  const matcher: Matcher = {
    step,
    longest: patterns.reduce((most, { bytes }) => Math.max(most, bytes.length), 0),
    filter: new Uint8Array(new SharedArrayBuffer(2 ** (FILTER_BITS - 3))),
    blocks: new Uint32Array(new SharedArrayBuffer(size * 4)),
    first: new Int32Array(new SharedArrayBuffer(size * 4)).fill(-1),
    postings: new Int32Array(new SharedArrayBuffer(count * POSTING * 4)),
    bytes: new Uint8Array(new SharedArrayBuffer(patterns.reduce((sum, { bytes }) => sum + bytes.length, 0))),
    starts: new Uint32Array(new SharedArrayBuffer((patterns.length + 1) * 4)),
    ignoreCase: new Uint8Array(new SharedArrayBuffer(patterns.length)),
  }
  for (const [index, { bytes, ignoreCase }] of patterns.entries()) {
    const start = matcher.starts[index] as number
    matcher.bytes.set(bytes, start)
    matcher.starts[index + 1] = start + bytes.length
    matcher.ignoreCase[index] = ignoreCase ? 1 : 0
  }
  let at = 0
  for (const [block, list] of chosen) {
    const hash = hashOf(block)
    matcher.filter[hash >>> 3] = (matcher.filter[hash >>> 3] as number) | (1 << (hash & 7))
    let slot = hash & (size - 1)
    while (matcher.first[slot] !== -1) slot = (slot + 1) & (size - 1)
    matcher.blocks[slot] = block
    let next = -1
    for (const { pattern, offset } of list) {
      matcher.postings.set([pattern, offset, next], at * POSTING)
      next = at
      at += 1
    }
    matcher.first[slot] = next
  }
  return matcher
}

/** Reports every place where a pattern begins. */
export function scan(m: Matcher, data: Uint8Array, found: (pattern: number, at: number) => void): void {
  const { step, filter, blocks, first } = m
  const mask = blocks.length - 1
  const end = data.length - BLOCK_BYTES
  for (let at = 0; at <= end; at += step) {
    const block =
      ((data[at] as number) |
        ((data[at + 1] as number) << 8) |
        ((data[at + 2] as number) << 16) |
        ((data[at + 3] as number) << 24) |
        FOLD) >>>
      0
    const hash = Math.imul(block, 0x9e3779b1) >>> (32 - FILTER_BITS)
    if (((filter[hash >>> 3] as number) & (1 << (hash & 7))) === 0) continue
    let slot = hash & mask
    while (first[slot] !== -1 && blocks[slot] !== block) slot = (slot + 1) & mask
    for (
      let posting = first[slot] as number;
      posting !== -1;
      posting = m.postings[posting * POSTING + 2] as number
    ) {
      const pattern = m.postings[posting * POSTING] as number
      const begin = at - (m.postings[posting * POSTING + 1] as number)
      if (begin >= 0 && stands(m, pattern, data, begin)) found(pattern, begin)
    }
  }
}

function stands(m: Matcher, pattern: number, data: Uint8Array, begin: number): boolean {
  const start = m.starts[pattern] as number
  const length = (m.starts[pattern + 1] as number) - start
  if (begin + length > data.length) return false
  const ignoreCase = m.ignoreCase[pattern] === 1
  for (let index = 0; index < length; index += 1) {
    const wanted = m.bytes[start + index] as number
    const got = data[begin + index] as number
    if (wanted === got) continue
    const letter = wanted | 0x20
    if (!ignoreCase || letter < 0x61 || letter > 0x7a || (got | 0x20) !== letter) return false
  }
  return true
}

/** Of each pattern the stretch whose blocks are rarest among all patterns: "example.org" would stand in every second one. */
function chooseBlocks(
  patterns: readonly Pattern[],
  step: number,
): Map<number, { pattern: number; offset: number }[]> {
  const counts = new Map<number, number>()
  for (const { bytes } of patterns) {
    for (let at = 0; at + BLOCK_BYTES <= bytes.length; at += 1) {
      const block = blockAt(bytes, at)
      counts.set(block, (counts.get(block) ?? 0) + 1)
    }
  }
  const chosen = new Map<number, { pattern: number; offset: number }[]>()
  for (const [pattern, { bytes }] of patterns.entries()) {
    let best = 0
    let bestCost = Number.POSITIVE_INFINITY
    for (let begin = 0; begin + step + BLOCK_BYTES - 1 <= bytes.length; begin += 1) {
      let cost = 0
      for (let at = begin; at < begin + step; at += 1) cost += counts.get(blockAt(bytes, at)) ?? 0
      if (cost < bestCost) {
        best = begin
        bestCost = cost
      }
    }
    for (let offset = best; offset < best + step; offset += 1) {
      const block = blockAt(bytes, offset)
      const list = chosen.get(block)
      if (list) list.push({ pattern, offset })
      else chosen.set(block, [{ pattern, offset }])
    }
  }
  return chosen
}

function blockAt(bytes: Buffer, at: number): number {
  return (bytes.readUInt32LE(at) | FOLD) >>> 0
}

function hashOf(block: number): number {
  return Math.imul(block, 0x9e3779b1) >>> (32 - FILTER_BITS)
}
