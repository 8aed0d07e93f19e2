import { type Database, isAppError, type Log, type TenureId } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { HeldDevice } from '../registry/index.ts'
import { openRecord, type StreamRecord } from '../stream/index.ts'
import { viewOf } from './command-seals.ts'
import { redactedAnswer, shown } from './content.ts'
import type { Applied } from './projection.ts'
import { type CommandRow, kindOf } from './tables.ts'
import { readHead, readPlaces } from './timeline.ts'
import type { Watchers } from './watchers.ts'

/** Batches that wait to be opened for watchers; beyond, the watchers are told to read again. */
const MAX_WAITING = 64

/** Rows of other processes that are read at once. */
const MAX_READ = 2_000

export interface Announcements {
  /** What this process has applied. */
  batch(applied: Pick<Applied, 'base' | 'records'>): void
  /** Another process may have applied something: it is looked up how far the timeline has come. */
  elsewhere(): void
  /** Before somebody begins to watch: what there is already is announced to the others, and not to the new one. */
  begin(): Promise<void>
  /** Nobody watches, or what was missed has been made good: what comes next is announced, nothing before it. */
  startAnew(): void
  command(row: CommandRow): void
  /** Of another process: as it stands when its turn comes. */
  commandElsewhere(tenureId: TenureId, find: () => Promise<CommandRow | undefined>): void
  idle(): Promise<void>
  /** Records opened for watchers since the start, and those that did not open. */
  readonly opened: number
  readonly unreadable: number
}

export interface AnnouncementsDependencies {
  watchers: Watchers
  keys: Pick<Keys, 'open'>
  database: Database
  /** No other process applies records. */
  alone: () => boolean
  log: Log
}

/**
 * Opens what is watched, and only that, and hands it to the watchers in the order of the timeline, whichever process
 * applied it.
 */
export function createAnnouncements(d: AnnouncementsDependencies): Announcements {
  const { watchers, keys, log } = d
  let tail: Promise<void> = Promise.resolve()
  let waiting = 0
  let opened = 0
  let unreadable = 0
  // The last place of the timeline that was announced or left out; undefined: begin with what comes next.
  let announced: number | undefined
  // Of many hints that come while one waits to be looked at, that one looks for all.
  let asked = false

  function inOrder(job: () => Promise<void>): void {
    waiting += 1
    tail = tail.then(job).then(
      () => {
        waiting -= 1
      },
      (error: unknown) => {
        waiting -= 1
        announced = undefined
        watchers.resync()
        log.error('an update could not be handed to its watchers, who read again', { error })
      },
    )
  }

  /** The same for all who watch, whoever asked: without secrets. */
  async function pushCommand(row: CommandRow): Promise<void> {
    const device = watchers.watched(row.tenure_id)
    if (!device) return
    const whole = viewOf(await keys.open(row.key_id), row)
    const command = redactedAnswer(device.model, whole.command, whole)
    watchers.push(row.tenure_id, { kind: 'command', deviceId: row.device_id, command })
  }

  async function record(device: HeldDevice, r: StreamRecord, seq: number): Promise<void> {
    if (r.kind === 'results') return
    try {
      const { receivedAtMs, payload } = openRecord(await keys.open(device.keyId), r)
      opened += 1
      watchers.push(r.tenureId, {
        deviceId: r.deviceId,
        seq,
        kind: r.kind,
        atMs: receivedAtMs,
        payload: shown(device.model, r.kind, payload),
      })
    } catch (error) {
      if (!isAppError(error, 'integrity_failed') && !isAppError(error, 'not_found')) throw error
      unreadable += 1
      log.error('a record did not open', { error, tenureId: r.tenureId, recordId: r.recordId })
    }
  }

  /** Announces what was put into the timeline meanwhile, by whichever process. */
  async function catchUp(): Promise<void> {
    const head = await readHead(d.database)
    if (announced === undefined) watchers.resync()
    else if (head > announced) await readAndAnnounce(announced, head)
    announced = Math.max(announced ?? 0, head)
  }

  async function readAndAnnounce(from: number, upTo: number): Promise<void> {
    const rows = await readPlaces(d.database, { after: from, upTo, limit: MAX_READ }, watchers.tenures())
    if (rows.length >= MAX_READ) {
      watchers.resync()
      return
    }
    for (const { seq, tenure_id: tenureId, record_id: recordId, kind, sealed } of rows) {
      const device = watchers.watched(tenureId)
      const name = kindOf(kind)
      if (!device || name === 'command') continue
      await record(
        device,
        { seq, recordId, kind: name, deviceId: device.deviceId, tenureId, slots: [], sealed },
        seq,
      )
    }
  }

  return {
    async begin() {
      inOrder(catchUp)
      await tail
    },
    batch({ base, records }) {
      if (watchers.size === 0) {
        announced = undefined
        return
      }
      const last = base + records.length
      if (waiting >= MAX_WAITING) {
        for (const tenureId of new Set(records.map((r) => r.tenureId)))
          if (watchers.watched(tenureId)) watchers.push(tenureId, { kind: 'resync' })
        return
      }
      inOrder(async () => {
        const before = announced ?? base
        if (before < base && !d.alone()) await readAndAnnounce(before, base)
        for (const [index, r] of records.entries()) {
          const seq = base + index + 1
          const device = watchers.watched(r.tenureId)
          // Some may have been read already, together with those of other processes.
          if (device && seq > before) await record(device, r, seq)
        }
        announced = Math.max(before, last)
      })
    },
    elsewhere() {
      if (watchers.size === 0) announced = undefined
      if (watchers.size === 0 || asked) return
      asked = true
      inOrder(async () => {
        asked = false
        await catchUp()
      })
    },
    startAnew() {
      announced = undefined
    },
    command(row) {
      if (watchers.watched(row.tenure_id)) inOrder(() => pushCommand(row))
    },
    commandElsewhere(tenureId, find) {
      if (!watchers.watched(tenureId)) return
      inOrder(async () => {
        const row = await find()
        if (row?.tenure_id === tenureId) await pushCommand(row)
      })
    },
    idle: () => tail,
    get opened() {
      return opened
    },
    get unreadable() {
      return unreadable
    },
  }
}
