import { garbled } from '../failure.ts'

/** As much of BSON (https://bsonspec.org) as the questions and answers of a probe need. */
export type BsonValue = number | string | boolean | bigint | null | undefined | BsonValue[] | BsonDocument
export interface BsonDocument {
  [name: string]: BsonValue
}

const DEEPEST = 16
const MOST_FIELDS = 20_000

/** Whole numbers of 32 bits, strings and booleans. */
export function writeBson(document: Record<string, number | string | boolean>): Buffer {
  const fields = Object.entries(document).map(([name, value]) => {
    if (typeof value === 'number') return Buffer.concat([head(0x10, name), int32(value)])
    if (typeof value === 'boolean') return Buffer.concat([head(0x08, name), Buffer.from([value ? 1 : 0])])
    const text = Buffer.from(`${value}\0`)
    return Buffer.concat([head(0x02, name), int32(text.length), text])
  })
  const body = Buffer.concat([...fields, Buffer.from([0])])
  return Buffer.concat([int32(4 + body.length), body])
}

function head(type: number, name: string): Buffer {
  return Buffer.from(`${String.fromCharCode(type)}${name}\0`, 'latin1')
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return bytes
}

/** @throws ProbeFailure garbled, and RangeError for what ends too early */
export function readBson(bytes: Buffer): BsonDocument {
  const budget = { fields: MOST_FIELDS }
  return readDocument(bytes, budget, 0)
}

function readDocument(bytes: Buffer, budget: { fields: number }, depth: number): BsonDocument {
  const length = bytes.readInt32LE(0)
  if (length < 5 || length > bytes.length || depth > DEEPEST) garbled()
  const document: BsonDocument = Object.create(null)
  let at = 4
  while (at < length - 1) {
    budget.fields -= 1
    if (budget.fields < 0) garbled()
    const type = bytes[at] ?? 0
    const end = bytes.indexOf(0, at + 1)
    if (end < 0 || end >= length) garbled()
    const name = bytes.toString('utf8', at + 1, end)
    const [value, size] = readValue(type, bytes.subarray(end + 1, length - 1), budget, depth)
    document[name] = value
    at = end + 1 + size
  }
  return document
}

/** A value and how many bytes it has; undefined for those of no interest here. */
function readValue(
  type: number,
  bytes: Buffer,
  budget: { fields: number },
  depth: number,
): [BsonValue, number] {
  switch (type) {
    case 0x01:
      return [bytes.readDoubleLE(0), 8]
    case 0x02: {
      const length = bytes.readInt32LE(0)
      if (length < 1 || length > bytes.length - 4) garbled()
      return [bytes.toString('utf8', 4, 3 + length), 4 + length]
    }
    case 0x03:
      return [readDocument(bytes, budget, depth + 1), bytes.readInt32LE(0)]
    case 0x04:
      return [Object.values(readDocument(bytes, budget, depth + 1)), bytes.readInt32LE(0)]
    case 0x05: {
      const length = bytes.readInt32LE(0)
      if (length < 0) garbled()
      return [undefined, 5 + length]
    }
    case 0x07:
      return [undefined, 12]
    case 0x08:
      return [bytes[0] === 1, 1]
    case 0x0a:
      return [null, 0]
    case 0x10:
      return [bytes.readInt32LE(0), 4]
    case 0x09:
    case 0x11:
    case 0x12:
      return [bytes.readBigInt64LE(0), 8]
    default:
      return garbled()
  }
}
