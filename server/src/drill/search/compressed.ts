import { Readable } from 'node:stream'
import { constants, createInflate, createInflateRaw, createZstdDecompress, inflateSync } from 'node:zlib'
import { lz4Frame } from './block-codecs.ts'
import type { Bytes } from './bytes.ts'

type Format = 'gzip' | 'zlib' | 'zstd' | 'lz4' | 'zip'

/** Where a compressed stream begins in other bytes. */
export interface CompressedAt {
  format: Format
  at: number
}

const MAGICS: [Format, string][] = [
  // RFC 1952 section 2.3: deflate is the one method.
  ['gzip', '1f8b08'],
  // RFC 8878 section 3.1.1
  ['zstd', '28b52ffd'],
  ['lz4', '04224d18'],
  ['zip', '504b0304'],
  // RFC 1950 section 2.2: deflate, a 32 KiB window, the four levels.
  ['zlib', '7801'],
  ['zlib', '785e'],
  ['zlib', '789c'],
  ['zlib', '78da'],
]
/** A zlib header alone stands in every 16 KiB of noise: what follows must inflate. */
const TRIAL_BYTES = 1_024
/** One LZ4 frame is taken in whole. */
const MAX_FRAME_BYTES = 268_435_456

export function findCompressed(data: Buffer): CompressedAt[] {
  const found: CompressedAt[] = []
  for (const [format, hex] of MAGICS) {
    const magic = Buffer.from(hex, 'hex')
    for (let at = data.indexOf(magic); at >= 0; at = data.indexOf(magic, at + 1)) {
      if (isLikely(data, format, at)) found.push({ format, at })
    }
  }
  return found
}

function isLikely(data: Buffer, format: Format, at: number): boolean {
  // Flags beyond these are reserved and must be zero.
  if (format === 'gzip') return ((data[at + 3] ?? 0xff) & 0xe0) === 0
  // Method 8, deflated; others are rare or not compressed.
  if (format === 'zip') return at + 30 <= data.length && data.readUInt16LE(at + 8) === 8
  if (format !== 'zlib') return true
  try {
    return (
      inflateSync(data.subarray(at, at + TRIAL_BYTES), { finishFlush: constants.Z_SYNC_FLUSH }).length > 0
    )
  } catch {
    return false
  }
}

/** What comes out of the stream that begins here, up to its end, to where it is broken, or to where the bytes end. */
export async function* decompressed(bytes: Bytes, { format, at }: CompressedAt): AsyncGenerator<Buffer> {
  if (format === 'lz4') {
    yield* lz4Frame(bytes.read(at, Math.min(bytes.size - at, MAX_FRAME_BYTES)))
    return
  }
  const begin = format === 'gzip' ? gzipBody(bytes, at) : format === 'zip' ? zipBody(bytes, at) : at
  if (begin === undefined || begin >= bytes.size) return
  const decoder =
    format === 'zstd'
      ? createZstdDecompress({ finishFlush: constants.ZSTD_e_flush })
      : format === 'zlib'
        ? createInflate({ finishFlush: constants.Z_SYNC_FLUSH })
        : createInflateRaw({ finishFlush: constants.Z_SYNC_FLUSH })
  const source = Readable.from(bytes.stream(begin))
  // The reader ends with the decoder, which has an end of its own long before that of the bytes.
  source.on('error', () => decoder.destroy())
  decoder.on('close', () => source.destroy())
  try {
    for await (const chunk of source.pipe(decoder)) yield chunk
  } catch {
    // No stream after all, or one that is cut: what came out of it so far has been looked at.
  } finally {
    decoder.destroy()
  }
}

/** RFC 1952 section 2.3: where the deflated bytes begin. */
function gzipBody(bytes: Bytes, at: number): number | undefined {
  const head = bytes.read(at, Math.min(65_536, bytes.size - at))
  const flags = head[3] ?? 0
  let begin = 10
  if (flags & 4) begin += 2 + (begin + 2 <= head.length ? head.readUInt16LE(begin) : 0)
  for (const flag of [8, 16]) {
    if ((flags & flag) === 0) continue
    const end = head.indexOf(0, begin)
    if (end < 0) return undefined
    begin = end + 1
  }
  return at + begin + (flags & 2 ? 2 : 0)
}

/** A local file header (APPNOTE.TXT section 4.3.7), and the file behind it. */
function zipBody(bytes: Bytes, at: number): number {
  const head = bytes.read(at, 30)
  return at + 30 + head.readUInt16LE(26) + head.readUInt16LE(28)
}
