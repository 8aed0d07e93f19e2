import { hash, randomBytes } from 'node:crypto'
import type { Clock } from '../core/index.ts'
import type { Allowance } from './face.ts'

/** 512 KiB; what nothing has touched takes no memory. */
const ROWS = 4
const WIDTH = 2 ** 14

/** Of one name. */
export interface CountingBucket {
  /** @returns 0 when there is one to spend, or after how many seconds there will be */
  waitSeconds(): number
  spend(): void
  giveBack(): void
}

/** Token buckets of one allowance, one for each name. */
export type CountingBuckets = (name: string) => CountingBucket

/**
 * A count-min sketch (Cormode and Muthukrishnan, 2005) of token buckets. Its size is fixed and nothing in it is ever pushed
 * out: however many names somebody has, one who has used up a bucket does not get a new one. Names share cells, so that a
 * bucket may count too much but not too little; with a key of this process nobody chooses with whom they share. It holds
 * no name.
 */
export function createCountingBuckets(o: { clock: Clock; allowance: Allowance }): CountingBuckets {
  const key = randomBytes(32).toString('base64')
  /** When each cell's bucket is full again, as leaky buckets are kept (GCRA). */
  const fullAtMs = new Float64Array(ROWS * WIDTH)
  const intervalMs = o.allowance.everySeconds * 1_000
  const capacityMs = o.allowance.burst * intervalMs

  function cellsOf(name: string): number[] {
    const digest = hash('sha256', key + name, 'buffer')
    return Array.from({ length: ROWS }, (_, row) => row * WIDTH + (digest.readUInt32LE(row * 4) % WIDTH))
  }
  const owedMs = (cell: number, nowMs: number) => Math.max(0, (fullAtMs[cell] as number) - nowMs)

  return (name) => {
    const cells = cellsOf(name)
    return {
      waitSeconds() {
        const nowMs = o.clock.nowMs()
        const least = Math.min(...cells.map((cell) => owedMs(cell, nowMs)))
        return Math.max(0, Math.ceil((least + intervalMs - capacityMs) / 1_000))
      },
      spend() {
        const nowMs = o.clock.nowMs()
        // No cell owes more than one empty bucket: a flood is over when the time of one bucket has passed.
        for (const cell of cells)
          fullAtMs[cell] = nowMs + Math.min(capacityMs, owedMs(cell, nowMs) + intervalMs)
      },
      giveBack() {
        const nowMs = o.clock.nowMs()
        for (const cell of cells) fullAtMs[cell] = nowMs + Math.max(0, owedMs(cell, nowMs) - intervalMs)
      },
    }
  }
}
