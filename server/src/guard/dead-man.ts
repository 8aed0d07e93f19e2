import type { Clock } from '../core/index.ts'
import type { FindingDesk } from './findings.ts'
import type { Intervals } from './schedule.ts'
import type { WatchTurn } from './watch-turn.ts'

/** How many times the slower interval may pass without a whole round. */
const PATIENCE = 3
const PATIENCE_MS = 60_000

/** Notices, in every process, that nothing is looked at any more by any of them. */
export interface DeadMan {
  check(): Promise<void>
  stats(): Record<string, number>
}

export function createDeadMan(o: {
  turn: Pick<WatchTurn, 'secondsSinceRound'>
  findings: Pick<FindingDesk, 'raise' | 'shut'>
  intervals: Intervals
  clock: Clock
}): DeadMan {
  const startedMs = o.clock.nowMs()
  const patienceMs = PATIENCE * o.intervals.otherMs + PATIENCE_MS
  let roundAtMs: number | undefined

  return {
    async check() {
      const nowMs = o.clock.nowMs()
      const seconds = await o.turn.secondsSinceRound()
      roundAtMs = seconds === undefined ? undefined : nowMs - seconds * 1000
      // After a start nobody has had the time yet.
      const sinceMs = nowMs - Math.max(startedMs, roundAtMs ?? startedMs)
      if (sinceMs > patienceMs) {
        await o.findings.raise({
          kind: 'stopped',
          storeKey: 'own:guard',
          name: 'the guard',
          address: 'this installation',
          evidence: `no whole round for ${Math.round(sinceMs / 1000)} s`,
        })
      } else if (roundAtMs !== undefined && nowMs - roundAtMs < patienceMs) {
        await o.findings.shut('own:guard', 'stopped')
      }
    },
    stats: () => ({
      guard_seconds_since_round: Math.max(0, Math.round((o.clock.nowMs() - (roundAtMs ?? startedMs)) / 1000)),
    }),
  }
}
