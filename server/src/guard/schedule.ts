import type { Watched } from './watched.ts'

/** Each time a little earlier or later, so that looks spread and nobody can tell when the next one comes. */
const JITTER = 0.2

export interface Intervals {
  /** Of stores that are fed. */
  fedMs: number
  /** Of all others. */
  otherMs: number
}

/** When which store is looked at next. A store that is being looked at is not due. */
export interface Schedule {
  /** Takes what is there now; what is new is due at once. */
  know(stores: readonly Watched[]): void
  /** Those that are due, the longest first, at most so many; from here on they count as being looked at. */
  take(nowMs: number, most: number): Watched[]
  done(watched: Watched, nowMs: number): void
  /** True once each time that every known store has been looked at since it was last true. */
  roundEnded(): boolean
}

export function createSchedule(o: { intervals: Intervals; random?: () => number }): Schedule {
  const random = o.random ?? Math.random
  const due = new Map<string, number>()
  const looking = new Set<string>()
  let known: readonly Watched[] = []
  let seen = new Set<string>()

  function intervalMs({ fed }: Watched): number {
    const ms = fed ? o.intervals.fedMs : o.intervals.otherMs
    return ms * (1 - JITTER + 2 * JITTER * random())
  }

  return {
    know(stores) {
      known = stores
      const keys = new Set(stores.map(({ key }) => key))
      for (const key of due.keys()) if (!keys.has(key)) due.delete(key)
      for (const key of seen) if (!keys.has(key)) seen.delete(key)
      for (const { key } of stores) if (!due.has(key)) due.set(key, 0)
    },
    take(nowMs, most) {
      const ready = known
        .filter(({ key }) => !looking.has(key) && (due.get(key) ?? 0) <= nowMs)
        .sort((a, b) => (due.get(a.key) ?? 0) - (due.get(b.key) ?? 0))
        .slice(0, Math.max(0, most))
      for (const { key } of ready) looking.add(key)
      return ready
    },
    done(watched, nowMs) {
      looking.delete(watched.key)
      seen.add(watched.key)
      if (due.has(watched.key)) due.set(watched.key, nowMs + intervalMs(watched))
    },
    roundEnded() {
      if (known.length === 0 || known.some(({ key }) => !seen.has(key))) return false
      seen = new Set()
      return true
    },
  }
}
