import { LRUCache } from 'lru-cache'
import type { Clock } from '../core/index.ts'

interface Level {
  tokens: number
  atMs: number
}

/** Token buckets by key, a bounded number of them: a stranger can't make them grow. */
export class TokenBuckets {
  readonly #clock: Clock
  readonly #perSecond: number
  readonly #burst: number
  readonly #levels: LRUCache<string, Level>

  constructor(o: { clock: Clock; perSecond: number; burst: number; remembered: number }) {
    this.#clock = o.clock
    this.#perSecond = o.perSecond
    this.#burst = o.burst
    this.#levels = new LRUCache({ max: o.remembered })
  }

  /** Whether there is a token, without taking it. */
  has(key: string): boolean {
    const level = this.#levels.get(key)
    return level === undefined || this.#refill(level).tokens >= 1
  }

  take(key: string): boolean {
    let level = this.#levels.get(key)
    if (level === undefined) {
      level = { tokens: this.#burst, atMs: this.#clock.nowMs() }
      this.#levels.set(key, level)
    } else this.#refill(level)
    if (level.tokens < 1) return false
    level.tokens -= 1
    return true
  }

  #refill(level: Level): Level {
    const nowMs = this.#clock.nowMs()
    const grown = level.tokens + (Math.max(0, nowMs - level.atMs) / 1000) * this.#perSecond
    level.tokens = Math.min(this.#burst, grown)
    level.atMs = nowMs
    return level
  }
}
