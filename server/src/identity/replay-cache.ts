import { AppError, type Clock } from '../core/index.ts'

export interface ReplayCache {
  /** @returns false when this name was remembered already. @throws AppError unavailable when it is full */
  remember(name: string, untilMs: number): boolean
  readonly size: number
}

/** When full it refuses: forgetting a name early would let it be used again. */
export function createReplayCache(o: { clock: Clock; maxEntries: number }): ReplayCache {
  const names = new Set<string>()
  const endingIn = new Map<number, string[]>()
  let sweptSecond = 0

  function forgetExpired(nowSecond: number): void {
    if (nowSecond === sweptSecond) return
    sweptSecond = nowSecond
    for (const [second, ending] of endingIn) {
      if (second >= nowSecond) continue
      for (const name of ending) names.delete(name)
      endingIn.delete(second)
    }
  }

  return {
    remember(name, untilMs) {
      forgetExpired(Math.floor(o.clock.nowMs() / 1000))
      if (names.has(name)) return false
      if (names.size >= o.maxEntries) throw new AppError('unavailable', { retryAfterSeconds: 5 })
      names.add(name)
      const second = Math.floor(untilMs / 1000)
      const ending = endingIn.get(second)
      if (ending) ending.push(name)
      else endingIn.set(second, [name])
      return true
    },
    get size() {
      return names.size
    },
  }
}
