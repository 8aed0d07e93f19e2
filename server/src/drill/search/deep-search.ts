import { type Bytes, memoryBytes } from './bytes.ts'
import { decompressed, findCompressed } from './compressed.ts'
import { type Matcher, scan } from './matcher.ts'
import { compressedValues, createToast, isPage, PAGE_ALIGNMENT, PAGE_BYTES } from './postgres-pages.ts'
import { pageImages, walSegmentBytes, withoutPageHeaders } from './postgres-wal.ts'

export interface Hit {
  pattern: number
  path: string
  /** Where in the file, or in what was taken out of it. */
  at: number
  /** From the file inwards: `gzip at 512`. Empty for the file's own bytes. */
  inside: string[]
}

/** What one pass reads at a time. PostgreSQL's segments of the log are whole in it, and begin with it. */
export const WINDOW_BYTES = 16_777_216
const MAX_DEPTH = 4
/** A small file may unpack to anything. */
const MAX_UNPACKED_BYTES = 4 * 2 ** 30

export interface SearchContext {
  matcher: Matcher
  path: string
  hit(hit: Hit): void
  /** Something is not looked at, and why. */
  skipped(why: string): void
  /** Bytes that came out of something packed. */
  unpacked(bytes: number): void
}

/** Looks through `from` to `to` of a file, and through everything packed that begins there. */
export async function deepSearch(
  context: SearchContext,
  bytes: Bytes,
  from: number,
  to: number,
  inside: string[] = [],
): Promise<void> {
  const { matcher } = context
  // What begins here may end behind it.
  const data = bytes.read(from, Math.min(to + Math.max(matcher.longest, PAGE_BYTES), bytes.size) - from)
  const own = to - from
  scan(matcher, data, (pattern, at) => {
    if (at < own) context.hit({ pattern, path: context.path, at: from + at, inside })
  })
  if (inside.length >= MAX_DEPTH) return
  for (const found of findCompressed(data)) {
    if (found.at >= own) continue
    const at = from + found.at
    await searchStream(context, decompressed(bytes, { ...found, at }), [
      ...inside,
      `${found.format} at ${at}`,
    ])
  }
  await searchDatabasePages(context, data, own, from, inside)
  if (from === 0 && isPage(data, 0)) await searchToast(context, bytes, inside)
}

async function searchDatabasePages(
  context: SearchContext,
  data: Buffer,
  own: number,
  from: number,
  inside: string[],
): Promise<void> {
  for (let at = 0; at < own; ) {
    const segmentBytes = walSegmentBytes(data, at)
    if (segmentBytes) {
      const segment = data.subarray(at, at + segmentBytes)
      const log = withoutPageHeaders(segment)
      const label = [...inside, `write-ahead log at ${from + at}`]
      await searchMemory(context, log, label)
      await searchValues(context, log, 1, label)
      for (const page of pageImages(log, segment.readUInt32LE(16)))
        await searchPage(context, page, [...label, 'page image'])
      at += segmentBytes
    } else if (isPage(data, at)) {
      await searchValues(context, data.subarray(at, at + PAGE_BYTES), 4, [
        ...inside,
        `row in page at ${from + at}`,
      ])
      at += PAGE_BYTES
    } else at += PAGE_ALIGNMENT
  }
}

async function searchPage(context: SearchContext, page: Buffer, inside: string[]): Promise<void> {
  await searchMemory(context, page, inside)
  if (isPage(page, 0)) await searchValues(context, page, 4, inside)
}

async function searchValues(
  context: SearchContext,
  data: Buffer,
  alignment: 1 | 4,
  inside: string[],
): Promise<void> {
  for (const value of compressedValues(data, alignment))
    await searchMemory(context, value, [...inside, 'compressed value'])
}

/** Over the whole file: the pieces of one value need not lie together. */
async function searchToast(context: SearchContext, bytes: Bytes, inside: string[]): Promise<void> {
  const toast = createToast()
  for (let from = 0; from < bytes.size; from += WINDOW_BYTES) {
    const data = bytes.read(from, WINDOW_BYTES)
    for (let at = 0; at + PAGE_BYTES <= data.length; at += PAGE_BYTES) {
      if (isPage(data, at)) toast.take(data.subarray(at, at + PAGE_BYTES))
    }
  }
  for (const value of toast.end()) await searchMemory(context, value, [...inside, 'value kept out of line'])
}

async function searchStream(
  context: SearchContext,
  stream: AsyncIterable<Buffer>,
  inside: string[],
): Promise<void> {
  const overlap = context.matcher.longest - 1
  let pieces: Buffer[] = []
  let held = 0
  let total = 0
  const flush = async () => {
    const window = Buffer.concat(pieces)
    await searchMemory(context, window, inside)
    const kept = window.subarray(Math.max(0, window.length - overlap))
    pieces = [kept]
    held = kept.length
  }
  for await (const piece of stream) {
    pieces.push(piece)
    held += piece.length
    total += piece.length
    if (held >= WINDOW_BYTES) await flush()
    if (total > MAX_UNPACKED_BYTES) {
      context.skipped(`${inside.at(-1)} unpacks to more than 4 GiB: the rest was not looked at`)
      break
    }
  }
  await flush()
  context.unpacked(total)
}

function searchMemory(context: SearchContext, data: Buffer, inside: string[]): Promise<void> {
  return deepSearch(context, memoryBytes(data), 0, data.length, inside)
}
