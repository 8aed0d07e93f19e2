import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createCountingBuckets } from '../../src/identity/counting-buckets.ts'

let nowMs = 1_700_000_000_000
const clock = { nowMs: () => nowMs }
const few = { burst: 3, everySeconds: 60 }

function take(buckets: ReturnType<typeof createCountingBuckets>, name: string): boolean {
  const bucket = buckets(name)
  if (bucket.waitSeconds() > 0) return false
  bucket.spend()
  return true
}

describe('counting buckets', () => {
  it('give as many as the burst, then one after each interval, and say when', () => {
    const buckets = createCountingBuckets({ clock, allowance: few })
    expect([1, 2, 3, 4].map(() => take(buckets, 'a'))).toEqual([true, true, true, false])
    expect(buckets('a').waitSeconds()).toBe(60)
    nowMs += 59_000
    expect(buckets('a').waitSeconds()).toBe(1)
    nowMs += 1_000
    expect([1, 2].map(() => take(buckets, 'a'))).toEqual([true, false])
    buckets('a').giveBack()
    expect(take(buckets, 'a')).toBe(true)
  })

  it('never give a name more than its own bucket would, whatever other names do', () => {
    const acts = fc.array(
      fc.record({ name: fc.integer({ min: 0, max: 20_000 }), waitMs: fc.integer({ min: 0, max: 20_000 }) }),
      { maxLength: 300 },
    )
    fc.assert(
      fc.property(acts, (all) => {
        const buckets = createCountingBuckets({ clock, allowance: few })
        const exact = new Map<string, { tokens: number; atMs: number }>()
        for (const { name, waitMs } of all) {
          nowMs += waitMs
          // Few and many names: what is asked for often, and what comes once.
          const called = String(name % 3 === 0 ? name : name % 5)
          const known = exact.get(called) ?? { tokens: few.burst, atMs: nowMs }
          const tokens = Math.min(few.burst, known.tokens + (nowMs - known.atMs) / 60_000)
          if (!take(buckets, called)) exact.set(called, { tokens, atMs: nowMs })
          else {
            expect(tokens).toBeGreaterThanOrEqual(1 - 1e-9)
            exact.set(called, { tokens: tokens - 1, atMs: nowMs })
          }
        }
      }),
      { numRuns: 50 },
    )
  })

  it('are not emptied by a hundred thousand other names, which hardly hit anybody else', () => {
    const buckets = createCountingBuckets({ clock, allowance: few })
    while (take(buckets, 'victim'));
    for (let i = 0; i < 100_000; i++) take(buckets, `other ${i}`)
    expect(take(buckets, 'victim')).toBe(false)
    const quiet = createCountingBuckets({ clock, allowance: few })
    for (let i = 0; i < 5_000; i++) take(quiet, `other ${i}`)
    const refused = Array.from({ length: 2_000 }, (_, i) => take(quiet, `new ${i}`)).filter((got) => !got)
    expect(refused).toHaveLength(0)
    // After the flood, when the time of one bucket has passed, everything is as it was.
    nowMs += 3 * 60_000
    expect([1, 2, 3].map(() => take(buckets, 'victim'))).toEqual([true, true, true])
  })
})
