import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isProbeFailure } from '../../../src/probes/failure.ts'
import { readBson, writeBson } from '../../../src/probes/protocols/bson.ts'

const value = fc.oneof(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.string(), fc.boolean())
const name = fc.string({ unit: 'grapheme-ascii', minLength: 1 })
const document = fc.dictionary(name, value, { maxKeys: 8, noNullPrototype: true })

describe('BSON', () => {
  it('reads what it wrote', () => {
    fc.assert(
      fc.property(document, (written) => {
        expect({ ...readBson(writeBson(written)) }).toEqual(written)
      }),
    )
  })

  it('that is damaged is refused or read as something else, and ends', () => {
    fc.assert(
      fc.property(document, fc.nat(), fc.nat(255), fc.boolean(), (written, at, byte, cut) => {
        const bytes = writeBson(written)
        bytes[at % bytes.length] = byte
        try {
          readBson(cut ? bytes.subarray(0, at % bytes.length) : bytes)
        } catch (error) {
          expect(isProbeFailure(error, 'garbled') || error instanceof RangeError).toBe(true)
        }
      }),
    )
  })

  it('that is nested without end is refused', () => {
    let bytes = Buffer.from([5, 0, 0, 0, 0])
    for (let depth = 0; depth < 40; depth += 1) {
      const head = Buffer.alloc(7)
      head.writeInt32LE(bytes.length + 8)
      head.write('\x03a', 4, 'latin1')
      bytes = Buffer.concat([head, bytes, Buffer.from([0])])
    }
    expect(() => readBson(bytes)).toThrow('garbled')
  })
})
