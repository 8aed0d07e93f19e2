import { lz4Decompress, pglzDecompress } from './block-codecs.ts'

export const PAGE_BYTES = 8_192
/** Pages inside of a tar archive begin at multiples of this. */
export const PAGE_ALIGNMENT = 512
const HEADER_BYTES = 24
/** PostgreSQL compresses nothing shorter, and keeps only what became smaller. */
const MIN_RAW_BYTES = 32
/** The most that one byte of PGLZ (three for 273) and of LZ4 can stand for. */
const MAX_RATIO = [91, 255]

/** PostgreSQL, storage/bufpage.h: size and layout version 4 in one word, and bounds in their order. */
export function isPage(data: Buffer, at: number): boolean {
  if (at + PAGE_BYTES > data.length || data.readUInt16LE(at + 18) !== (PAGE_BYTES | 4)) return false
  const lower = data.readUInt16LE(at + 12)
  const upper = data.readUInt16LE(at + 14)
  const special = data.readUInt16LE(at + 16)
  return lower >= HEADER_BYTES && lower <= upper && upper <= special && special <= PAGE_BYTES
}

/**
 * The compressed values that stand in a page or in the log, opened; those of deleted rows as well.
 * @param alignment of their headers: 4 in a page, none in the log
 */
export function* compressedValues(data: Buffer, alignment: 1 | 4): Generator<Buffer> {
  // varatt.h: a header of four bytes whose two lowest bits are 10 (little endian), its length counting itself.
  for (let at = 0; at + 9 <= data.length; at += alignment) {
    if (((data[at] as number) & 3) !== 2) continue
    const length = data.readUInt32LE(at) >>> 2
    if (length < 9 || length > PAGE_BYTES || at + length > data.length) continue
    const value = opened(data.subarray(at + 4, at + length))
    if (value) yield value
  }
}

/** Method and raw size in one word, then the bytes: as it stands in a row behind its header, or out of line from its start. */
function opened(data: Buffer): Buffer | undefined {
  if (data.length < 5) return undefined
  const word = data.readUInt32LE(0)
  const rawSize = word & 0x3fffffff
  const method = word >>> 30
  const body = data.subarray(4)
  if (rawSize < MIN_RAW_BYTES || rawSize <= body.length) return undefined
  if (rawSize > body.length * (MAX_RATIO[method] ?? 0)) return undefined
  if (method === 0) return pglzDecompress(body, rawSize)
  const value = lz4Decompress(body, rawSize)
  return value?.length === rawSize ? value : undefined
}

/** Puts values together that are kept out of line in rows of (id, number, piece): access/heaptoast.h. */
export function createToast() {
  const values = new Map<number, Map<number, Buffer>>()
  return {
    take(page: Buffer): void {
      const lines = (page.readUInt16LE(12) - HEADER_BYTES) / 4
      for (let line = 0; line < lines; line += 1) {
        const pointer = page.readUInt32LE(HEADER_BYTES + line * 4)
        const at = pointer & 0x7fff
        const length = pointer >>> 17
        // Header of a row without nulls: 24 bytes; three columns; then id, number, and a piece with a long header.
        if (length < 37 || at + length > page.length || page[at + 22] !== HEADER_BYTES) continue
        if ((page.readUInt16LE(at + 18) & 0x7ff) !== 3) continue
        const header = page.readUInt32LE(at + 32)
        if ((header & 3) !== 0 || header >>> 2 > length - 32 || header >>> 2 < 5) continue
        const id = page.readUInt32LE(at + 24)
        const number = page.readInt32LE(at + 28)
        if (number < 0 || number > 600_000) continue
        const pieces = values.get(id) ?? new Map<number, Buffer>()
        pieces.set(number, Buffer.from(page.subarray(at + 36, at + 32 + (header >>> 2))))
        values.set(id, pieces)
      }
    },
    /** Each value of several pieces as it stands, and opened where it is compressed. */
    *end(): Generator<Buffer> {
      for (const pieces of values.values()) {
        const whole = Buffer.concat([...pieces].sort(([a], [b]) => a - b).map(([, piece]) => piece))
        if (pieces.size > 1) yield whole
        const value = opened(whole)
        if (value) yield value
      }
      values.clear()
    },
  }
}
