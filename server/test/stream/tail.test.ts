import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { StreamRecord } from '../../src/stream/index.ts'
import { createTail } from '../../src/stream/tail.ts'

const records = (first: number, count: number): StreamRecord[] =>
  Array.from({ length: count }, (_, i) => ({ seq: first + i }) as StreamRecord)

describe('the tail of committed batches', () => {
  test('whatever it hands over follows the position without a gap, and it never holds more than its bound', () => {
    const step = fc.record({
      gap: fc.constantFrom(0, 0, 0, 1, 5),
      count: fc.integer({ min: 1, max: 8 }),
      position: fc.nat({ max: 60 }),
      release: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const tail = createTail({ tailRecords: 20, tailBytes: 1_000, readRecords: 6 })
        let last = 0
        for (const { gap, count, position, release } of steps) {
          tail.push(records(last + gap + 1, count), count)
          last += gap + count
          const found = tail.after(position)
          if (found) {
            expect(found.length).toBeGreaterThan(0)
            expect(found.length).toBeLessThanOrEqual(6)
            expect(found.map(({ seq }) => seq)).toEqual(found.map((_, i) => position + 1 + i))
          }
          expect(tail.after(last - 1)?.map(({ seq }) => seq)).toEqual([last])
          expect(tail.after(last)).toBeUndefined()
          expect(tail.size).toBeLessThanOrEqual(20)
          if (release) {
            tail.release(last)
            expect(tail.size).toBe(0)
          }
        }
      }),
    )
  })

  test('a batch of another process in between empties it', () => {
    const tail = createTail({ tailRecords: 20, tailBytes: 1_000, readRecords: 100 })
    tail.push(records(1, 3), 3)
    tail.push(records(4, 3), 3)
    expect(tail.after(0)).toHaveLength(6)
    tail.push(records(9, 2), 2)
    expect(tail.after(0)).toBeUndefined()
    expect(tail.after(6)).toBeUndefined()
    expect(tail.after(8)).toHaveLength(2)
  })

  test('bytes are bounded as well', () => {
    const tail = createTail({ tailRecords: 1_000, tailBytes: 100, readRecords: 100 })
    for (let i = 0; i < 10; i++) tail.push(records(1 + i, 1), 40)
    expect(tail.size).toBe(2)
    expect(tail.after(8)?.map(({ seq }) => seq)).toEqual([9, 10])
  })
})
