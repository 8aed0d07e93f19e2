import { ProbeFailure } from './failure.ts'

/** Bounds how many connections are made in a second, over all addresses together. */
export interface Pace {
  /** @throws ProbeFailure timed-out when the signal aborts before it is one's turn */
  turn(signal: AbortSignal): Promise<void>
}

export function createPace({ perSecond }: { perSecond: number }): Pace {
  const intervalMilliseconds = 1_000 / perSecond
  let nextMs = 0
  return {
    async turn(signal) {
      const nowMs = performance.now()
      const atMs = Math.max(nowMs, nextMs)
      nextMs = atMs + intervalMilliseconds
      if (atMs <= nowMs) return
      await new Promise<void>((resolve, reject) => {
        const onAbort = () => {
          clearTimeout(timer)
          reject(new ProbeFailure('timed-out'))
        }
        const timer = setTimeout(() => {
          signal.removeEventListener('abort', onAbort)
          resolve()
        }, atMs - nowMs)
        signal.addEventListener('abort', onAbort, { once: true })
        if (signal.aborted) onAbort()
      })
    },
  }
}
