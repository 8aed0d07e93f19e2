import { AppError, type Clock } from '../core/index.ts'

export interface ReplayCache {
  /** @returns false when this name was remembered already. @throws AppError unavailable when it is full */
  remember(name: string, untilMs: number): boolean
  readonly size: number
}

/**
 * Remembers names until a time, in buckets of one second. When full it refuses: forgetting one early would let it
 * be used again.
 */
export function createReplayCache(o: { clock: Clock; maxEntries: number }): ReplayCache {
  const buckets = new Map<number, Set<string>>()
  let size = 0
  let sweptSecond = 0

  function forgetExpired(nowSecond: number): void {
    if (nowSecond === sweptSecond) return
    sweptSecond = nowSecond
    for (const [second, names] of buckets) {
      if (second >= nowSecond) continue
      size -= names.size
      buckets.delete(second)
    }
  }

  return {
    remember(name, untilMs) {
      forgetExpired(Math.floor(o.clock.nowMs() / 1000))
      const second = Math.floor(untilMs / 1000)
      const names = buckets.get(second) ?? new Set()
      if (names.has(name)) return false
      if (size >= o.maxEntries) throw new AppError('unavailable', { retryAfterSeconds: 5 })
      buckets.set(second, names.add(name))
      size++
      return true
    },
    get size() {
      return size
    },
  }
}
