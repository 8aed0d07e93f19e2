import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** A function that anybody can compute: who knows a value knows what it gives. */
export interface UnkeyedHash {
  name: string
  of(data: Buffer): Buffer
}

const CRYPTOGRAPHIC = [
  'md5',
  'sha1',
  'sha224',
  'sha256',
  'sha384',
  'sha512',
  'sha512-256',
  'sha3-224',
  'sha3-256',
  'sha3-384',
  'sha3-512',
  'blake2b512',
  'blake2s256',
  'ripemd160',
  'sm3',
]

export const cryptographicHashes: readonly UnkeyedHash[] = CRYPTOGRAPHIC.map((name) => ({
  name,
  of: (data) => createHash(name).update(data).digest(),
}))

/** Of eight bytes: long enough to be looked for anywhere. */
export const wideHashes: readonly UnkeyedHash[] = [
  { name: 'xxhash64', of: (data) => wide(xxHash64(data)) },
  { name: 'fnv-1a 64', of: (data) => wide(fnv1a(data, 64)) },
]

/** Of four bytes: by chance they stand anywhere, so they are compared with whole fields only. */
export const narrowHashes: readonly UnkeyedHash[] = [
  { name: 'crc32', of: (data) => narrow(crc32(data)) },
  { name: 'adler32', of: (data) => narrow(adler32(data)) },
  { name: 'murmur3', of: (data) => narrow(murmur3(data)) },
  { name: 'fnv-1a 32', of: (data) => narrow(Number(fnv1a(data, 32))) },
  { name: 'xxhash32', of: (data) => narrow(xxHash32(data)) },
  { name: "java's hashCode", of: (data) => narrow(hashCode(data)) },
]

/** The namespaces of RFC 9562 section 6.6, for names turned into identifiers. */
const NAMESPACES = ['6ba7b810', '6ba7b811', '6ba7b812', '6ba7b814'].map((first) =>
  Buffer.from(`${first}9dad11d180b400c04fd430c8`, 'hex'),
)

/** UUIDs of versions 3 and 5: hashes of a name that look random. */
export function namedUuids(data: Buffer): UnkeyedUuid[] {
  return NAMESPACES.flatMap((namespace) =>
    ([3, 5] as const).map((version) => {
      const digest = createHash(version === 3 ? 'md5' : 'sha1')
        .update(namespace)
        .update(data)
        .digest()
        .subarray(0, 16)
      digest[6] = ((digest[6] as number) & 0x0f) | (version << 4)
      digest[8] = ((digest[8] as number) & 0x3f) | 0x80
      return { name: `uuid version ${version}`, bytes: digest }
    }),
  )
}

interface UnkeyedUuid {
  name: string
  bytes: Buffer
}

function narrow(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

function wide(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(value)
  return bytes
}

function adler32(data: Buffer): number {
  let a = 1
  let b = 0
  for (const byte of data) {
    a = (a + byte) % 65_521
    b = (b + a) % 65_521
  }
  return (b << 16) | a
}

function hashCode(data: Buffer): number {
  let hash = 0
  for (const unit of data.toString()) hash = (Math.imul(31, hash) + unit.charCodeAt(0)) | 0
  return hash
}

function fnv1a(data: Buffer, bits: 32 | 64): bigint {
  const prime = bits === 32 ? 0x01000193n : 0x100000001b3n
  let hash = bits === 32 ? 0x811c9dc5n : 0xcbf29ce484222325n
  for (const byte of data) hash = BigInt.asUintN(bits, (hash ^ BigInt(byte)) * prime)
  return hash
}

function murmur3(data: Buffer): number {
  let hash = 0
  const mix = (word: number) => {
    const k = Math.imul(word, 0xcc9e2d51)
    return Math.imul((k << 15) | (k >>> 17), 0x1b873593)
  }
  const whole = data.length & ~3
  for (let at = 0; at < whole; at += 4) {
    hash ^= mix(data.readUInt32LE(at))
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let at = data.length - 1; at >= whole; at -= 1) tail = (tail << 8) | (data[at] as number)
  if (whole < data.length) hash ^= mix(tail)
  hash ^= data.length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

const X1 = 0x9e3779b1
const X2 = 0x85ebca77
const X3 = 0xc2b2ae3d
const X4 = 0x27d4eb2f
const X5 = 0x165667b1

function xxHash32(data: Buffer): number {
  const turn = (value: number, by: number) => (value << by) | (value >>> (32 - by))
  const round = (lane: number, word: number) => Math.imul(turn((lane + Math.imul(word, X2)) | 0, 13), X1)
  let at = 0
  let hash = X5
  if (data.length >= 16) {
    let [a, b, c, d] = [(X1 + X2) | 0, X2 | 0, 0, -X1 | 0]
    for (; at + 16 <= data.length; at += 16) {
      a = round(a, data.readUInt32LE(at))
      b = round(b, data.readUInt32LE(at + 4))
      c = round(c, data.readUInt32LE(at + 8))
      d = round(d, data.readUInt32LE(at + 12))
    }
    hash = (turn(a, 1) + turn(b, 7) + turn(c, 12) + turn(d, 18)) | 0
  }
  hash = (hash + data.length) | 0
  for (; at + 4 <= data.length; at += 4)
    hash = Math.imul(turn((hash + Math.imul(data.readUInt32LE(at), X3)) | 0, 17), X4)
  for (; at < data.length; at += 1)
    hash = Math.imul(turn((hash + Math.imul(data[at] as number, X5)) | 0, 11), X1)
  hash = Math.imul(hash ^ (hash >>> 15), X2)
  hash = Math.imul(hash ^ (hash >>> 13), X3)
  return hash ^ (hash >>> 16)
}

const Y1 = 0x9e3779b185ebca87n
const Y2 = 0xc2b2ae3d27d4eb4fn
const Y3 = 0x165667b19e3779f9n
const Y4 = 0x85ebca77c2b2ae63n
const Y5 = 0x27d4eb2f165667c5n

function xxHash64(data: Buffer): bigint {
  const u64 = (value: bigint) => BigInt.asUintN(64, value)
  const turn = (value: bigint, by: bigint) => u64((value << by) | (value >> (64n - by)))
  const round = (lane: bigint, word: bigint) => u64(turn(u64(lane + word * Y2), 31n) * Y1)
  let at = 0
  let hash = Y5
  if (data.length >= 32) {
    const lanes = [u64(Y1 + Y2), Y2, 0n, u64(-Y1)]
    for (; at + 32 <= data.length; at += 32) {
      for (const [index, lane] of lanes.entries())
        lanes[index] = round(lane, data.readBigUInt64LE(at + index * 8))
    }
    const turns = [1n, 7n, 12n, 18n]
    hash = u64(lanes.reduce((sum, lane, index) => sum + turn(lane, turns[index] as bigint), 0n))
    for (const lane of lanes) hash = u64((hash ^ round(0n, lane)) * Y1 + Y4)
  }
  hash = u64(hash + BigInt(data.length))
  for (; at + 8 <= data.length; at += 8)
    hash = u64(turn(hash ^ round(0n, data.readBigUInt64LE(at)), 27n) * Y1 + Y4)
  if (at + 4 <= data.length) {
    hash = u64(turn(u64(hash ^ u64(BigInt(data.readUInt32LE(at)) * Y1)), 23n) * Y2 + Y3)
    at += 4
  }
  for (; at < data.length; at += 1) hash = u64(turn(hash ^ u64(BigInt(data[at] as number) * Y5), 11n) * Y1)
  hash = u64((hash ^ (hash >> 33n)) * Y2)
  hash = u64((hash ^ (hash >> 29n)) * Y3)
  return hash ^ (hash >> 32n)
}
