import { type Clock, isAppError } from '../core/index.ts'
import { probe } from '../probes/index.ts'
import type { Observed, Watched } from './watched.ts'

const TIMEOUT_MS = 5_000
const PORTS_AT_ONCE = 4
/** For each store; how many stores are looked at in a second is bounded where they are chosen. */
const CONNECTIONS_PER_SECOND = 20

/** Looks at one store as somebody without any credential. */
export type Look = (watched: Watched, signal: AbortSignal) => Promise<Observed[]>

export function createStranger({ clock }: { clock: Clock }): Look {
  return async (watched, signal) => {
    if (watched.look) return await watched.look()
    const seen: Observed[] = []
    try {
      const options = {
        clock,
        timeoutMilliseconds: TIMEOUT_MS,
        concurrency: PORTS_AT_ONCE,
        ratePerSecond: CONNECTIONS_PER_SECOND,
        signal,
      }
      for await (const result of probe([watched.address], options)) seen.push(result)
    } catch (error) {
      if (!isAppError(error, 'invalid_request')) throw error
      // Declared under a version that knew more protocols, or a feed to something that no probe knows.
      return [{ verdict: 'silent', protocol: 'unknown', evidence: error.message }]
    }
    return seen
  }
}
