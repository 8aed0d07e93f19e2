import { setTimeout as sleep } from 'node:timers/promises'

/** Answers at a multiple of `stepMs` after the question: how long the work took can't be told from outside. */
export async function evenTime<T>(stepMs: number, work: () => Promise<T>): Promise<T> {
  const startedMs = performance.now()
  try {
    return await work()
  } finally {
    const tookMs = performance.now() - startedMs
    if (stepMs > 0) await sleep(Math.ceil(tookMs / stepMs) * stepMs - tookMs)
  }
}
