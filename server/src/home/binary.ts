/**
 * Arrays in PostgreSQL's binary format (array_recv in src/backend/utils/adt/arrayfuncs.c). As text, bytes would cross
 * the wire as escaped hexadecimal, at twice the size and several times the cost on both ends.
 */
const HEADER_BYTES = 20
const OID = { bytea: 17, int8: 20, int2: 21, uuid: 2950 }

function header(oid: number, length: number, bodyBytes: number): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + bodyBytes)
  out.writeInt32BE(length > 0 ? 1 : 0, 0) // dimensions
  out.writeInt32BE(0, 4) // no nulls
  out.writeInt32BE(oid, 8)
  out.writeInt32BE(length, 12)
  out.writeInt32BE(1, 16) // lower bound
  return length > 0 ? out : out.subarray(0, 12)
}

export function uuidArray(ids: readonly string[]): Buffer {
  const out = header(OID.uuid, ids.length, ids.length * 20)
  let at = HEADER_BYTES
  for (const id of ids) {
    out.writeInt32BE(16, at)
    out.write(id.replaceAll('-', ''), at + 4, 16, 'hex')
    at += 20
  }
  return out
}

export function byteaArray(values: readonly Buffer[]): Buffer {
  let bytes = 0
  for (const value of values) bytes += 4 + value.length
  const out = header(OID.bytea, values.length, bytes)
  let at = HEADER_BYTES
  for (const value of values) {
    out.writeInt32BE(value.length, at)
    value.copy(out, at + 4)
    at += 4 + value.length
  }
  return out
}

export function int2Array(values: readonly number[]): Buffer {
  const out = header(OID.int2, values.length, values.length * 6)
  let at = HEADER_BYTES
  for (const value of values) {
    out.writeInt32BE(2, at)
    out.writeInt16BE(value, at + 4)
    at += 6
  }
  return out
}

export function int8Array(values: readonly number[]): Buffer {
  const out = header(OID.int8, values.length, values.length * 12)
  let at = HEADER_BYTES
  for (const value of values) {
    out.writeInt32BE(8, at)
    out.writeInt32BE(Math.floor(value / 2 ** 32), at + 4)
    out.writeUInt32BE(value % 2 ** 32, at + 8)
    at += 12
  }
  return out
}
