import { AppError } from './errors.ts'
import type { Log } from './log.ts'

/** Milliseconds since some moment; never goes back. */
export type LeaseClock = () => number

/**
 * The larger of the two: the monotonic clock stands still while a machine sleeps, and the time of day may be set back.
 * Setting it forward ends a lease too early, which costs a second.
 */
export function leaseClock(): LeaseClock {
  const monotonicMs = performance.now()
  const wallMs = Date.now()
  let latestMs = 0
  return () => {
    latestMs = Math.max(latestMs, performance.now() - monotonicMs, Date.now() - wallMs)
    return latestMs
  }
}

/**
 * For how long this process may rely on what it knows. Revocations are pushed; whoever may not have heard one must
 * refuse, so that a network partition delays them by no more than the lease.
 */
export interface Lease {
  /** Asked at the moment of acting, by whoever acts. */
  holds(): boolean
  /** @throws AppError unavailable when it does not hold */
  require(): void
  /** Counts the lapses: work that began in another term must not be handed out. */
  readonly term: number
  /** Called once each time that it has run out: end what stays open. */
  onLapse(listener: () => void): () => void
  /** Everything that was committed before `atMs` has taken effect here. */
  renew(atMs: number): void
  /** Resolves when it holds for the first time. */
  start(): Promise<void>
  close(): void
  stats(): Record<string, number>
}

/** How soon a lapse is noticed where nothing asks. */
const WATCH_MS = 100

export function createLease(o: { leaseMs: number; monotonicMs: LeaseClock; log: Log }): Lease {
  const { leaseMs, monotonicMs, log } = o
  const listeners = new Set<() => void>()
  const began = Promise.withResolvers<void>()
  let provenAtMs = Number.NEGATIVE_INFINITY
  let held = false
  let term = 0
  let watch: NodeJS.Timeout | undefined

  const holds = () => monotonicMs() - provenAtMs < leaseMs

  function notice(): void {
    if (!held || holds()) return
    held = false
    term += 1
    log.error('this process does not hear of changes: it refuses until it does', { leaseMs })
    for (const listener of listeners) {
      try {
        listener()
      } catch (error) {
        log.error('something could not be ended when the lease ran out', { error })
      }
    }
  }

  return {
    holds,
    require() {
      if (!holds()) throw new AppError('unavailable', { retryAfterSeconds: 3, detail: 'the lease ran out' })
    },
    get term() {
      // It may have run out a moment before the watch looks.
      return held && !holds() ? term + 1 : term
    },
    onLapse(listener) {
      const own = () => listener()
      listeners.add(own)
      return () => listeners.delete(own)
    },
    renew(atMs) {
      // What ran out is ended first, or it would live on.
      notice()
      provenAtMs = Math.max(provenAtMs, atMs)
      if (held || !holds()) return
      if (term > 0) log.info('this process hears of changes again')
      held = true
      began.resolve()
    },
    start() {
      watch = setInterval(notice, WATCH_MS)
      return began.promise
    },
    close() {
      clearInterval(watch)
      began.resolve()
    },
    stats: () => ({ lease_holds: holds() ? 1 : 0, lease_lapses_total: term }),
  }
}

/** For a process that shares its knowledge with no other. */
export const endlessLease: Pick<Lease, 'holds' | 'require' | 'term' | 'onLapse'> = {
  holds: () => true,
  require: () => {},
  term: 0,
  onLapse: () => () => {},
}
