import {
  type AccountId,
  AppError,
  type Caches,
  type Clock,
  type HouseholdId,
  isAppError,
  type Lease,
  type Log,
  type TenureId,
} from '../core/index.ts'
import type { AccessChange, HeldDevice, Registry, TenureChange } from '../registry/index.ts'
import type { LiveListener, LiveUpdate } from './face.ts'

interface Watcher {
  accountId: AccountId
  householdId: HouseholdId
  listener: LiveListener
  tenures: Map<TenureId, HeldDevice>
  /** When the right to watch was last seen to hold. */
  checkedAtMs: number
  queue: { tenureId?: TenureId | undefined; update: LiveUpdate }[]
  busy: boolean
  /** Somebody's access to the household changed: nothing is handed over until the right has been read again. */
  suspended: boolean
  ended: boolean
}

export interface WatcherOptions {
  registry: Pick<Registry, 'devices'>
  clock: Clock
  log: Log
  caches: Caches
  lease: Pick<Lease, 'holds' | 'term' | 'require'>
  queueLength: number
  checkMs: number
}

export interface Watchers {
  watch(accountId: AccountId, householdId: HouseholdId, listener: LiveListener): Promise<() => void>
  /** The device as its watchers hold it, or undefined when nobody watches the tenure. */
  watched(tenureId: TenureId): HeldDevice | undefined
  /** All tenures that somebody watches. */
  tenures(): TenureId[]
  /** @throws AppError integrity_failed when it found the watchers of another tenure; nobody is told then */
  push(tenureId: TenureId, update: LiveUpdate): void
  /** Updates were lost: everybody reads again. */
  resync(): void
  /** Cuts the former tenure off at once, before this returns; then reads again who may see what. */
  tenureChanged(change: TenureChange): void
  /** Suspends all who watch the household, before this returns; then reads again who may see what. */
  accessChanged(change: AccessChange): void
  /** Changes may have been missed: suspends all; resolves when each right has been read again. @throws AppError unavailable */
  readAgain(): Promise<void>
  /** This process may not rely on what it knows: ends all, who may begin anew elsewhere. */
  interrupt(): void
  /** Checks again every watcher whose last check is older than the interval. */
  recheck(): Promise<void>
  close(): void
  readonly size: number
}

/** After so many intervals without a successful check, knowledge of a right has expired. */
const LEASE_INTERVALS = 3

function happenedAtMs(update: LiveUpdate): number {
  if (update.kind === 'command') return update.command.requestedAtMs
  return 'atMs' in update ? update.atMs : Number.POSITIVE_INFINITY
}

export function createWatchers({
  registry,
  clock,
  log,
  caches,
  lease,
  queueLength,
  checkMs,
}: WatcherOptions): Watchers {
  const all = new Set<Watcher>()
  const byTenure = caches.create<TenureId, { tenureId: TenureId; watchers: Set<Watcher> }>({
    name: 'watched_tenures',
    belongs: (watched, tenureId) => watched.tenureId === tenureId,
  })
  // Counts changes of tenure and access: what was read while one happened may be out of date, and is read again.
  let generation = 0

  function attach(watcher: Watcher, device: HeldDevice): void {
    watcher.tenures.set(device.tenureId, device)
    const { tenureId } = device
    const known = byTenure.find(tenureId)
    if (known) known.watchers.add(watcher)
    else byTenure.set(tenureId, { tenureId, watchers: new Set([watcher]) })
  }

  function detach(watcher: Watcher, tenureId: TenureId): void {
    watcher.tenures.delete(tenureId)
    const known = byTenure.find(tenureId)
    known?.watchers.delete(watcher)
    if (known?.watchers.size === 0) byTenure.delete(tenureId)
  }

  function remove(watcher: Watcher): void {
    watcher.ended = true
    watcher.queue = []
    for (const tenureId of [...watcher.tenures.keys()]) detach(watcher, tenureId)
    all.delete(watcher)
  }

  function end(watcher: Watcher, kind: 'ended' | 'interrupted' = 'ended'): void {
    if (watcher.ended) return
    remove(watcher)
    void tell(watcher, { kind })
  }

  function tell(watcher: Watcher, update: LiveUpdate): void | Promise<void> {
    try {
      return watcher.listener(update)?.catch(() => remove(watcher))
    } catch {
      // Whoever listens is gone; the server's other watchers are not its concern.
      remove(watcher)
    }
  }

  function enqueue(watcher: Watcher, update: LiveUpdate, tenureId?: TenureId): void {
    if (watcher.ended) return
    if (watcher.queue.length >= queueLength) watcher.queue = [{ update: { kind: 'resync' } }]
    else watcher.queue.push({ tenureId, update })
    if (!watcher.busy) drain(watcher)
  }

  function drain(watcher: Watcher): void {
    while (!watcher.ended && !watcher.suspended) {
      const next = watcher.queue.shift()
      if (!next) return
      if (next.tenureId !== undefined) {
        const device = watcher.tenures.get(next.tenureId)
        if (!device?.visibleAt(clock.nowMs()) || happenedAtMs(next.update) < device.seesFromMs) continue
      }
      if (!lease.holds()) {
        end(watcher, 'interrupted')
        return
      }
      if (clock.nowMs() - watcher.checkedAtMs > checkMs * LEASE_INTERVALS) {
        end(watcher, 'interrupted')
        return
      }
      const pending = tell(watcher, next.update)
      if (pending !== undefined) {
        watcher.busy = true
        void pending.then(() => {
          watcher.busy = false
          drain(watcher)
        })
        return
      }
    }
  }

  /** Hands over what the account may see now: read, and used, without a change in between. */
  async function withHeld(
    accountId: AccountId,
    householdId: HouseholdId,
    use: (held: HeldDevice[], atMs: number) => void,
  ): Promise<void> {
    for (;;) {
      lease.require()
      const before = generation
      const { term } = lease
      const atMs = clock.nowMs()
      const held = await registry.devices(accountId, householdId)
      if (before === generation && term === lease.term) return use(held, atMs)
    }
  }

  function refresh(watcher: Watcher, held: HeldDevice[], atMs: number): void {
    watcher.checkedAtMs = atMs
    const now = new Set(held.map((device) => device.tenureId))
    const gone = [...watcher.tenures.keys()].filter((tenureId) => !now.has(tenureId))
    const come = held.filter((device) => !watcher.tenures.has(device.tenureId))
    for (const tenureId of gone) detach(watcher, tenureId)
    for (const device of held) attach(watcher, device)
    watcher.suspended = false
    if (gone.length + come.length > 0) enqueue(watcher, { kind: 'resync' })
    else if (!watcher.busy) drain(watcher)
  }

  async function check(group: Watcher[]): Promise<void> {
    const { accountId, householdId } = group[0] as Watcher
    try {
      await withHeld(accountId, householdId, (held, atMs) => {
        for (const watcher of group) if (!watcher.ended) refresh(watcher, held, atMs)
      })
    } catch (error) {
      if (isAppError(error, 'not_found')) for (const watcher of group) end(watcher)
      else {
        log.warn('a watcher could not be checked', { error })
        for (const watcher of group) {
          if (clock.nowMs() - watcher.checkedAtMs > checkMs * LEASE_INTERVALS) end(watcher, 'interrupted')
        }
      }
    }
  }

  async function checkAll(due: (watcher: Watcher) => boolean): Promise<void> {
    const groups = new Map<string, Watcher[]>()
    for (const watcher of all) {
      if (!due(watcher)) continue
      const name = watcher.accountId + watcher.householdId
      const group = groups.get(name)
      if (group) group.push(watcher)
      else groups.set(name, [watcher])
    }
    for (const group of groups.values()) await check(group)
  }

  return {
    async watch(accountId, householdId, listener) {
      const watcher: Watcher = {
        accountId,
        householdId,
        listener,
        tenures: new Map(),
        checkedAtMs: 0,
        queue: [],
        busy: false,
        suspended: false,
        ended: false,
      }
      await withHeld(accountId, householdId, (held, atMs) => {
        watcher.checkedAtMs = atMs
        for (const device of held) attach(watcher, device)
        all.add(watcher)
      })
      return () => remove(watcher)
    },
    watched(tenureId) {
      for (const watcher of byTenure.find(tenureId)?.watchers ?? []) return watcher.tenures.get(tenureId)
      return undefined
    },
    tenures: () => [...byTenure.keys()],
    resync() {
      for (const watcher of [...all]) enqueue(watcher, { kind: 'resync' })
    },
    async readAgain() {
      generation++
      for (const watcher of all) watcher.suspended = true
      const before = [...all]
      await checkAll(() => true)
      if (before.some((watcher) => watcher.suspended && !watcher.ended))
        throw new AppError('unavailable', { detail: 'the rights to watch could not be read' })
      for (const watcher of before) enqueue(watcher, { kind: 'resync' })
    },
    interrupt() {
      generation++
      for (const watcher of [...all]) end(watcher, 'interrupted')
    },
    push(tenureId, update) {
      for (const watcher of [...(byTenure.get(tenureId)?.watchers ?? [])]) enqueue(watcher, update, tenureId)
    },
    tenureChanged({ deviceId, tenure }) {
      generation++
      const touched = new Set<Watcher>()
      for (const watcher of all) {
        for (const device of watcher.tenures.values()) {
          if (device.deviceId !== deviceId || device.tenureId === tenure?.tenureId) continue
          detach(watcher, device.tenureId)
          touched.add(watcher)
        }
        if (tenure && watcher.householdId === tenure.householdId) touched.add(watcher)
      }
      for (const watcher of touched) {
        if (watcher.householdId !== tenure?.householdId) enqueue(watcher, { kind: 'resync' })
      }
      void checkAll((watcher) => touched.has(watcher))
    },
    accessChanged({ householdId }) {
      generation++
      const touched = new Set<Watcher>()
      for (const watcher of all) {
        if (watcher.householdId !== householdId) continue
        watcher.suspended = true
        touched.add(watcher)
      }
      if (touched.size > 0) void checkAll((watcher) => touched.has(watcher))
    },
    recheck: () => checkAll((watcher) => watcher.suspended || clock.nowMs() - watcher.checkedAtMs >= checkMs),
    close() {
      for (const watcher of [...all]) end(watcher)
    },
    get size() {
      return all.size
    },
  }
}
