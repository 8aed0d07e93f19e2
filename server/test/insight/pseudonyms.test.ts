import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { newId, Secret, type TenureId } from '../../src/core/index.ts'
import { isPseudonymOf, newRecognition, pseudonymOf } from '../../src/insight/pseudonyms.ts'
import { memoryKeyProvider, purposeKey } from '../../src/keys/index.ts'

const key = purposeKey(memoryKeyProvider(), 'a copy')
const other = purposeKey(memoryKeyProvider(), 'a copy')
const recognition = newRecognition()
const tenure = () => newId<TenureId>()

describe('the pseudonyms of a copy', () => {
  it('are known again as this copy\u2019s, without its key; nothing else is, not by one character', () => {
    for (let at = 0; at < 200; at++) {
      const text = pseudonymOf(key, tenure(), recognition)
      expect(isPseudonymOf(recognition, text)).toBe(true)
      expect(isPseudonymOf(newRecognition(), text)).toBe(false)
      const where = at % 22
      const changed = text.slice(0, where) + (text[where] === 'Q' ? 'g' : 'Q') + text.slice(where + 1)
      expect(isPseudonymOf(recognition, changed)).toBe(false)
      expect(isPseudonymOf(recognition, randomBytes(16).toString('base64url'))).toBe(false)
    }
    for (const text of ['', 'x', '='.repeat(22), '\u00e9'.repeat(22)])
      expect(isPseudonymOf(recognition, text)).toBe(false)
  })

  it('are one for a tenure, another in another copy, and no shorter for it', () => {
    const id = tenure()
    const text = pseudonymOf(key, id, recognition)
    expect(pseudonymOf(key, id, recognition)).toBe(text)
    const elsewhere = pseudonymOf(other, id, newRecognition())
    expect(elsewhere).toMatch(/^[\w-]{22}$/)
    expect(elsewhere.slice(0, 4)).not.toBe(text.slice(0, 4))
    // Made before they could be recognised: they stay as they are.
    expect(pseudonymOf(key, id, undefined)).toMatch(/^[\w-]{22}$/)
  })

  it('are, to who holds the copy, as even in each bit and pair of bits as random ones', () => {
    const fixed = purposeKey(
      { created: false, versions: () => versions, addVersion: async () => 1 },
      'a copy of this test',
    )
    const known = new Secret('recognition of this test')
    const marked = Array.from({ length: 20_000 }, (_, at) => {
      const id = `00000000-0000-4000-8000-${at.toString(16).padStart(12, '0')}` as TenureId
      return Buffer.from(pseudonymOf(fixed, id, known), 'base64url')
    })
    expect(worst(marked)).toBeLessThan(5)
    // The measure sees a tag that is the same for all.
    expect(
      worst(marked.map((bytes) => Buffer.concat([bytes.subarray(0, 15), Buffer.of(7)]))),
    ).toBeGreaterThan(100)
  })
})

const versions = [{ version: 1, secret: Buffer.alloc(32, 'a key of this test') }]

/** By how many standard deviations the number of ones, or of equal pairs, is off; of all bits and pairs the worst. */
function worst(samples: readonly Buffer[]): number {
  const bit = (sample: Buffer, at: number) => ((sample[at >> 3] as number) >> (at & 7)) & 1
  const off = (ones: number) => Math.abs(ones - samples.length / 2) / Math.sqrt(samples.length / 4)
  let most = 0
  for (let one = 0; one < 128; one++) {
    most = Math.max(most, off(samples.filter((sample) => bit(sample, one) === 1).length))
    for (let two = one + 1; two < 128; two += 7)
      most = Math.max(most, off(samples.filter((sample) => bit(sample, one) === bit(sample, two)).length))
  }
  return most
}
