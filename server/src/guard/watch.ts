import type { Clock, Log } from '../core/index.ts'
import type { FindingDesk } from './findings.ts'
import type { Inventory } from './inventory.ts'
import { judge } from './judge.ts'
import type { Schedule } from './schedule.ts'
import type { Look } from './stranger.ts'
import type { Verdicts } from './verdicts.ts'
import type { WatchTurn } from './watch-turn.ts'
import type { StoreState, Watched } from './watched.ts'

/** Stores that are looked at at one time, and looks begun in one round of the loop (four in a second). */
const AT_ONCE = 8
const BEGUN_IN_A_ROUND = 5
const INVENTORY_EVERY_MS = 2_000
/** What has not changed is written down this often all the same, so that it can be seen when it was looked at. */
const WRITTEN_EVERY_MS = 60_000

export interface WatchedStore extends Omit<Watched, 'look'> {
  state?: StoreState
}

/** Looks at everything, each in its own time, and acts upon what is found. */
export interface Watch {
  /** One round: begins what is due, and does not wait for it. */
  round(): Promise<void>
  /** Looks at everything that this process can see, now, and waits for it. */
  lookNow(): Promise<WatchedStore[]>
  stores(): Promise<WatchedStore[]>
  /** Waits for what is under way. */
  close(): Promise<void>
  stats(): Record<string, number>
}

export function createWatch(o: {
  inventory: Inventory
  schedule: Schedule
  turn: WatchTurn
  verdicts: Verdicts
  findings: Pick<FindingDesk, 'raise' | 'shut' | 'list'>
  look: Look
  clock: Clock
  log: Log
}): Watch {
  const { clock, log } = o
  const stop = new AbortController()
  const states = new Map<string, StoreState>()
  const written = new Map<string, { state: StoreState; atMs: number }>()
  const underWay = new Map<string, Promise<void>>()
  let watching: Watched[] = []
  let inventoryAtMs = Number.NEGATIVE_INFINITY
  /** Kind and store of the findings that are open. */
  let openNow = new Set<string>()
  let mine = false
  let looks = 0
  let failed = 0
  let lookingNow: Promise<WatchedStore[]> | undefined

  async function refresh(): Promise<void> {
    inventoryAtMs = clock.nowMs()
    const had = mine
    mine = await o.turn.take()
    // Whoever looked before has written down what counts of the past.
    if (mine && !had) await learn()
    watching = (await o.inventory.all()).filter(({ here }) => here || mine)
    o.schedule.know(watching)
    openNow = await openFindings()
  }

  async function learn(): Promise<void> {
    for (const [key, state] of await o.verdicts.read()) {
      if (state.atMs > (states.get(key)?.atMs ?? 0)) states.set(key, state)
    }
  }

  async function openFindings(): Promise<Set<string>> {
    const findings = await o.findings.list({ all: false })
    return new Set(
      findings.filter(({ state }) => state === 'open').map((each) => `${each.kind} ${each.storeKey}`),
    )
  }

  async function lookAt(watched: Watched): Promise<void> {
    const observed = await o.look(watched, stop.signal)
    if (stop.signal.aborted) return
    looks++
    const { key, name, address } = watched
    const nowMs = clock.nowMs()
    const judged = judge({
      before: states.get(key),
      observed,
      mayBeOpen: watched.mayBeOpen === true,
      nowMs,
    })
    states.set(key, judged.state)
    // First what cannot wait.
    for (const { kind, evidence } of judged.found) {
      await o.findings.raise({ kind, storeKey: key, name, address, evidence })
    }
    for (const kind of judged.over) if (openNow.has(`${kind} ${key}`)) await o.findings.shut(key, kind)
    await keep(key, judged.state)
  }

  async function keep(key: string, state: StoreState): Promise<void> {
    const before = written.get(key)
    const same =
      before &&
      before.state.verdict === state.verdict &&
      before.state.evidence === state.evidence &&
      before.state.protectedBefore === state.protectedBefore &&
      before.state.verifiedBefore === state.verifiedBefore &&
      state.atMs - before.atMs < WRITTEN_EVERY_MS
    if (same) return
    await o.verdicts.write(key, state)
    written.set(key, { state, atMs: state.atMs })
  }

  function begin(watched: Watched): Promise<void> {
    const running = lookAt(watched)
      .catch((error) => {
        failed++
        log.error('looking at a store failed; it is tried again', { storeKey: watched.key, error })
      })
      .finally(() => {
        underWay.delete(watched.key)
        o.schedule.done(watched, clock.nowMs())
      })
    underWay.set(watched.key, running)
    return running
  }

  return {
    async round() {
      if (clock.nowMs() - inventoryAtMs >= INVENTORY_EVERY_MS) await refresh()
      const most = Math.min(BEGUN_IN_A_ROUND, AT_ONCE - underWay.size)
      for (const watched of o.schedule.take(clock.nowMs(), most)) void begin(watched)
      if (o.schedule.roundEnded() && mine) await o.turn.roundEnded()
    },

    lookNow() {
      lookingNow ??= (async () => {
        // Whoever has the turn knows what counts of the past.
        if (!mine) await learn()
        openNow = await openFindings()
        const all = await o.inventory.all()
        // Shared out over the same few places, beside what the schedule does.
        const waiting = [...all]
        const worker = async () => {
          for (let next = waiting.shift(); next && !stop.signal.aborted; next = waiting.shift()) {
            await (underWay.get(next.key) ?? lookAt(next))
          }
        }
        await Promise.all(Array.from({ length: AT_ONCE }, worker))
        return all.map(({ look: _look, ...watched }) => withState(watched, states.get(watched.key)))
      })().finally(() => {
        lookingNow = undefined
      })
      return lookingNow
    },

    async stores() {
      const kept = await o.verdicts.read()
      const all = await o.inventory.all()
      return all.map(({ look: _look, ...watched }) =>
        withState(watched, (watched.here ? undefined : kept.get(watched.key)) ?? states.get(watched.key)),
      )
    },

    async close() {
      stop.abort()
      await Promise.allSettled([...underWay.values(), lookingNow])
      if (mine) await o.turn.giveUp()
    },

    stats() {
      const verdicts = watching.map(({ key }) => states.get(key)?.verdict ?? 'unknown')
      const count = (verdict: string) => verdicts.filter((each) => each === verdict).length
      return {
        guard_watching: Number(mine),
        guard_stores: watching.length,
        guard_stores_open: count('open'),
        guard_stores_protected: count('protected'),
        guard_stores_other: count('other'),
        guard_stores_silent: count('silent'),
        guard_looks_total: looks,
        guard_looks_failed_total: failed,
      }
    },
  }
}

function withState(watched: Omit<Watched, 'look'>, state: StoreState | undefined): WatchedStore {
  return state ? { ...watched, state } : watched
}
