import {
  AppError,
  type Bus,
  type Caches,
  type Clock,
  createCaches,
  type Database,
  type DeviceId,
  endlessLease,
  type Log,
} from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { Registry } from '../registry/index.ts'
import type { Stream } from '../stream/index.ts'
import { createAnnouncements } from './announcements.ts'
import { applyResults } from './command-endings.ts'
import { createCommandStore } from './command-store.ts'
import { createCommands } from './commands.ts'
import { createDelivery } from './delivery.ts'
import { createLateRowsSweep } from './destroyed-tenures.ts'
import type { Deliver, DeviceView, Home } from './face.ts'
import { readLiveState } from './live-state.ts'
import { createNeighbours, type Neighbours } from './neighbours.ts'
import { createProjection } from './projection.ts'
import type { CommandRow } from './tables.ts'
import { createTenureEnding } from './tenure-endings.ts'
import { readTimeline } from './timeline.ts'
import { createWatchers } from './watchers.ts'

export interface HomeLimits {
  /** Commands per device that have not ended. */
  openCommands: number
  /** Updates that wait for one slow watcher. */
  watcherQueue: number
  /** A watcher's right is checked again at this interval, and not relied on after three of them. */
  watcherCheckMs: number
}

export interface HomeDependencies {
  database: Database
  keys: Pick<Keys, 'open' | 'purpose'>
  registry: Pick<
    Registry,
    | 'authorize'
    | 'beforeTenureEnds'
    | 'device'
    | 'devices'
    | 'holdsNow'
    | 'onAccessChange'
    | 'onTenureChange'
    | 'pastDevice'
  >
  stream: Pick<Stream, 'reader'>
  clock: Clock
  log: Log
  deliver: Deliver
  /** Spares a command's row when the device is known to be away; `deliver` decides in any case. */
  isOnline?: ((deviceId: DeviceId) => boolean | Promise<boolean>) | undefined
  /** Joins it to the other processes on the same database; without it there must be none. */
  bus?: Bus | undefined
  caches?: Caches | undefined
  /** Whether the device is connected to this process; others send to theirs. */
  isHere?: ((deviceId: DeviceId) => boolean) | undefined
  limits?: Partial<HomeLimits> | undefined
}

const defaultLimits: HomeLimits = { openCommands: 64, watcherQueue: 256, watcherCheckMs: 3_000 }
const TICK_MS = 1_000

export function createHome(dependencies: HomeDependencies): Home {
  const { database, keys, registry, stream, clock, deliver, bus, isHere = () => true } = dependencies
  const log = dependencies.log.child({ room: 'home' })
  const limits = { ...defaultLimits, ...dependencies.limits }
  const counts = { records: 0, ended: 0 }

  const lease = bus?.lease ?? endlessLease
  const watchers = createWatchers({
    registry,
    clock,
    log,
    caches: dependencies.caches ?? createCaches({ log }),
    lease,
    queueLength: limits.watcherQueue,
    checkMs: limits.watcherCheckMs,
  })
  const announcements = createAnnouncements({
    watchers,
    keys,
    database,
    alone: () => bus?.alone ?? true,
    log,
  })
  const store = createCommandStore({ database, keys, registry, log })
  const delivery = createDelivery({ store, keys, registry, clock, log, deliver, changed })
  const commands = createCommands({
    store,
    delivery,
    keys,
    registry,
    clock,
    isOnline: dependencies.isOnline ?? (() => true),
    async sendElsewhere(row) {
      if (!neighbours || isHere(row.device_id)) return false
      await neighbours.queued(row)
      return true
    },
    maxOpen: limits.openCommands,
    changed,
  })
  const project = createProjection({
    applyResults: (tx, results) => applyResults({ keys, log }, tx, results),
    applying: async (tx) => neighbours?.applied(tx),
    wanted(records) {
      if (watchers.size === 0) announcements.startAnew()
      return watchers.size > 0 && records.some((record) => watchers.watched(record.tenureId))
    },
    applied(batch) {
      announcements.batch(batch)
      for (const row of batch.ended) changed(row)
    },
  })
  const reader = stream.reader('home', async (tx, records) => {
    const afterCommit = await project(tx, records)
    counts.records += records.length
    return afterCommit
  })

  const neighbours: Neighbours | undefined =
    bus && createNeighbours({ bus, store, delivery, commands, watchers, announcements, isHere, log })

  /** After the commit of a command's transition. */
  function changed(row: CommandRow): void {
    if (row.due_ms === null) {
      counts.ended += 1
      delivery.forget(row)
      commands.wake(row.command_id)
    }
    announcements.command(row)
    neighbours?.changed(row)
  }

  let timer: NodeJS.Timeout | undefined
  let ticking: Promise<void> | undefined
  let stopListening: (() => void)[] = []
  // From the beginning, not from the start: no tenure may end without it.
  const withdraw = registry.beforeTenureEnds(createTenureEnding({ keys, clock, log }))

  const sweepLateRows = createLateRowsSweep({ database, clock })

  async function expireDue(): Promise<void> {
    for (;;) {
      const ended = await store.expire(clock.nowMs())
      if (ended.length === 0) return
      for (const row of ended) changed(row)
    }
  }

  async function tick(): Promise<void> {
    await Promise.all([expireDue(), watchers.recheck(), sweepLateRows()])
    delivery.retry()
  }

  return {
    async start() {
      stopListening = [
        registry.onTenureChange(watchers.tenureChanged),
        registry.onAccessChange(watchers.accessChanged),
        registry.onTenureChange(({ deviceId, tenure }) => {
          commands.wakeDevice(deviceId)
          delivery.leave(deviceId, tenure?.tenureId)
        }),
      ]
      neighbours?.start()
      await reader.start()
      timer = setInterval(() => {
        ticking ??= tick()
          .catch((error: unknown) => log.warn('the timer failed; it runs again', { error }))
          .finally(() => {
            ticking = undefined
          })
      }, TICK_MS)
    },
    async close() {
      clearInterval(timer)
      for (const stop of stopListening) stop()
      neighbours?.close()
      await reader.close()
      await ticking
      await delivery.idle()
      await announcements.idle()
      commands.close()
      watchers.close()
      withdraw()
    },
    async devices(accountId, householdId) {
      return readLiveState({ database, keys }, await registry.devices(accountId, householdId))
    },
    async device(accountId, deviceId) {
      const held = await registry.device(accountId, deviceId)
      const [view] = await readLiveState({ database, keys }, [held])
      return view as DeviceView
    },
    async timeline(accountId, deviceId, page) {
      const held = await registry.device(accountId, deviceId)
      if (page.tenureId !== undefined && page.tenureId !== held.tenureId) throw new AppError('stale_tenure')
      return readTimeline(database, await keys.open(held.keyId), held, page)
    },
    async pastTimeline(accountId, tenureId, page) {
      const past = await registry.pastDevice(accountId, tenureId)
      return readTimeline(database, await keys.open(past.keyId), past, page)
    },
    async watch(accountId, householdId, listener) {
      lease.require()
      await announcements.begin()
      return watchers.watch(accountId, householdId, listener)
    },
    requestCommand: commands.requestCommand,
    command: commands.command,
    waitForCommand: commands.waitForCommand,
    deviceReady: delivery.ready,
    commandDelivered: delivery.acknowledged,
    tick,
    stats: () => ({
      home_records: counts.records,
      home_watchers: watchers.size,
      home_records_opened: announcements.opened,
      home_records_unreadable: announcements.unreadable,
      home_commands_ended: counts.ended,
    }),
  }
}
