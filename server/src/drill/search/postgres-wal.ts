import { zstdDecompressSync } from 'node:zlib'
import { lz4Decompress, pglzDecompress } from './block-codecs.ts'
import { PAGE_BYTES } from './postgres-pages.ts'

const LONG_HEADER = 40
const SHORT_HEADER = 24
const RECORD_HEADER = 24

/** PostgreSQL, access/xlog_internal.h: the first page of a segment tells the sizes of segment and page. */
export function walSegmentBytes(data: Buffer, at: number): number | undefined {
  if (at + PAGE_BYTES > data.length || (data.readUInt16LE(at + 2) & 2) === 0) return undefined
  const size = data.readUInt32LE(at + 32)
  const isPowerOfTwo = (size & (size - 1)) === 0
  const known =
    data.readUInt32LE(at + 36) === PAGE_BYTES && isPowerOfTwo && size >= 1_048_576 && size <= 2 ** 30
  return known ? size : undefined
}

/** The log without the headers of its pages, which would cut in two what stands across a page's end. */
export function withoutPageHeaders(segment: Buffer): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0; at < segment.length; at += PAGE_BYTES) {
    pieces.push(segment.subarray(at + (at === 0 ? LONG_HEADER : SHORT_HEADER), at + PAGE_BYTES))
  }
  return Buffer.concat(pieces)
}

/** The compressed images of pages in a log without page headers (access/xlogrecord.h). */
export function* pageImages(log: Buffer, firstRecordAt: number): Generator<Buffer> {
  // Records begin at multiples of eight, and the headers that were taken out have such lengths.
  for (let at = align(firstRecordAt); at + RECORD_HEADER <= log.length; ) {
    const length = log.readUInt32LE(at)
    if (length < RECORD_HEADER || at + length > log.length) return
    yield* imagesOf(log.subarray(at + RECORD_HEADER, at + length))
    at = align(at + length)
  }
}

function align(at: number): number {
  return (at + 7) & ~7
}

interface Block {
  imageBytes: number
  dataBytes: number
  info: number
  holeBytes: number
  holeAt: number
}

function* imagesOf(record: Buffer): Generator<Buffer> {
  const blocks: Block[] = []
  let at = 0
  for (let mainBytes = -1; mainBytes < 0 && at + 2 <= record.length; ) {
    const id = record[at] as number
    if (id === 255) mainBytes = record[at + 1] as number
    else if (id === 254 && at + 5 <= record.length) mainBytes = record.readUInt32LE(at + 1)
    else if (id === 253) at += 3
    else if (id === 252) at += 5
    else if (id <= 32 && at + 13 <= record.length) {
      const flags = record[at + 1] as number
      const block: Block = {
        imageBytes: 0,
        dataBytes: record.readUInt16LE(at + 2),
        info: 0,
        holeBytes: 0,
        holeAt: 0,
      }
      at += 4
      if (flags & 0x10) {
        block.imageBytes = record.readUInt16LE(at)
        block.holeAt = record.readUInt16LE(at + 2)
        block.info = record[at + 4] as number
        at += 5
        if (block.info & 1 && block.info & 0x1c && at + 2 <= record.length) {
          block.holeBytes = record.readUInt16LE(at)
          at += 2
        }
      }
      at += (flags & 0x80 ? 0 : 12) + 4
      blocks.push(block)
    } else return
    if (mainBytes >= 0) at += id === 255 ? 2 : 5
  }
  for (const block of blocks) {
    const image = imageOf(block, record.subarray(at, at + block.imageBytes))
    if (image) yield image
    at += block.imageBytes + block.dataBytes
  }
}

function imageOf({ info, holeBytes, holeAt }: Block, image: Buffer): Buffer | undefined {
  const rawBytes = PAGE_BYTES - holeBytes
  const raw = decompress(info, image, rawBytes)
  if (raw?.length !== rawBytes || holeAt > rawBytes) return undefined
  return Buffer.concat([raw.subarray(0, holeAt), Buffer.alloc(holeBytes), raw.subarray(holeAt)])
}

function decompress(info: number, image: Buffer, rawBytes: number): Buffer | undefined {
  if (info & 4) return pglzDecompress(image, rawBytes)
  if (info & 8) return lz4Decompress(image, rawBytes)
  if ((info & 16) === 0) return undefined
  try {
    return zstdDecompressSync(image, { maxOutputLength: PAGE_BYTES })
  } catch {
    return undefined
  }
}
