import { randomBytes } from 'node:crypto'
import type { RecordId } from '../core/index.ts'

export interface NewRecordId {
  recordId: RecordId
  /** The same, as it stands in the table. */
  bytes: Buffer
}

const ID_BYTES = 16
const DRAWN_AT_ONCE = 256
const DASH = 0x2d
const HEX = Buffer.from('0123456789abcdef')

/**
 * Random ids (UUID version 4, RFC 9562 section 5.4) in both forms at once. Made for the append path: text that is
 * joined from pieces is flattened again wherever it is used, which costs a third of what sealing does.
 */
export function createRecordIds(): () => NewRecordId {
  const text = Buffer.allocUnsafeSlow(36)
  let drawn = Buffer.alloc(0)
  let at = 0

  return () => {
    if (at === drawn.length) {
      // A new buffer, because the ids' bytes are views of the last one.
      drawn = randomBytes(ID_BYTES * DRAWN_AT_ONCE)
      at = 0
    }
    const bytes = drawn.subarray(at, at + ID_BYTES)
    at += ID_BYTES
    bytes[6] = 0x40 | ((bytes[6] as number) & 0x0f)
    bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f)
    let to = 0
    for (let i = 0; i < ID_BYTES; i++) {
      if (i === 4 || i === 6 || i === 8 || i === 10) text[to++] = DASH
      const byte = bytes[i] as number
      text[to++] = HEX[byte >>> 4] as number
      text[to++] = HEX[byte & 0x0f] as number
    }
    return { recordId: text.toString('latin1') as RecordId, bytes }
  }
}
