/**
 * Arrays in PostgreSQL's binary format (array_send in src/backend/utils/adt/arrayfuncs.c): 4-byte numbers, big-endian:
 * dimensions, has-nulls flag, element type, then count and lower bound per dimension; each element is its length
 * (-1 for null) and its bytes. One such array per column costs a fraction of what text or single parameters do.
 */
const HEADER_BYTES = 20
const EMPTY_HEADER_BYTES = 12
const OID = { bytea: 17, int8: 20, int2: 21, timestamptz: 1184, uuid: 2950 } as const

/** Binary timestamps count microseconds from 2000-01-01T00:00:00Z. */
const EPOCH_2000_MS = 946_684_800_000

function allocate(oid: number, count: number, elementsBytes: number, hasNulls: boolean): Buffer {
  const empty = count === 0
  const array = Buffer.allocUnsafe(empty ? EMPTY_HEADER_BYTES : HEADER_BYTES + elementsBytes)
  array.writeInt32BE(empty ? 0 : 1, 0)
  array.writeInt32BE(hasNulls ? 1 : 0, 4)
  array.writeInt32BE(oid, 8)
  if (!empty) {
    array.writeInt32BE(count, 12)
    array.writeInt32BE(1, 16)
  }
  return array
}

/** `uuid[]` from 16 bytes or the text form each. */
export function uuidArray(ids: readonly (Uint8Array | string)[]): Buffer {
  const array = allocate(OID.uuid, ids.length, ids.length * 20, false)
  let at = HEADER_BYTES
  for (const id of ids) {
    array.writeInt32BE(16, at)
    if (typeof id === 'string') array.write(id.replaceAll('-', ''), at + 4, 16, 'hex')
    else array.set(id, at + 4)
    at += 20
  }
  return array
}

/** `smallint[]` */
export function smallintArray(numbers: readonly number[]): Buffer {
  const array = allocate(OID.int2, numbers.length, numbers.length * 6, false)
  let at = HEADER_BYTES
  for (const number of numbers) {
    array.writeInt32BE(2, at)
    array.writeInt16BE(number, at + 4)
    at += 6
  }
  return array
}

/** `bigint[]` from safe integers. */
export function bigintArray(numbers: readonly number[]): Buffer {
  const array = allocate(OID.int8, numbers.length, numbers.length * 12, false)
  let at = HEADER_BYTES
  for (const number of numbers) {
    array.writeInt32BE(8, at)
    array.writeInt32BE(Math.floor(number / 2 ** 32), at + 4)
    array.writeUInt32BE(((number % 2 ** 32) + 2 ** 32) % 2 ** 32, at + 8)
    at += 12
  }
  return array
}

/** `timestamptz[]` from milliseconds since 1970. */
export function timeArray(timesMs: readonly number[]): Buffer {
  const array = allocate(OID.timestamptz, timesMs.length, timesMs.length * 12, false)
  let at = HEADER_BYTES
  for (const timeMs of timesMs) {
    array.writeInt32BE(8, at)
    array.writeBigInt64BE(BigInt(timeMs - EPOCH_2000_MS) * 1000n, at + 4)
    at += 12
  }
  return array
}

/** `bytea[]`; null stays null. */
export function byteaArray(values: readonly (Uint8Array | null)[]): Buffer {
  let elementsBytes = 0
  let hasNulls = false
  for (const value of values) {
    elementsBytes += 4
    if (value === null) hasNulls = true
    else elementsBytes += value.length
  }
  const array = allocate(OID.bytea, values.length, elementsBytes, hasNulls)
  let at = HEADER_BYTES
  for (const value of values) {
    array.writeInt32BE(value === null ? -1 : value.length, at)
    at += 4
    if (value === null) continue
    array.set(value, at)
    at += value.length
  }
  return array
}
