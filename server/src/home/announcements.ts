import { isAppError, type Log } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { HeldDevice } from '../registry/index.ts'
import { openRecord, type StreamRecord } from '../stream/index.ts'
import { viewOf } from './command-seals.ts'
import { shown } from './content.ts'
import type { Applied } from './projection.ts'
import type { CommandRow } from './tables.ts'
import type { Watchers } from './watchers.ts'

/** Batches that wait to be opened for watchers; beyond, the watchers are told to read again. */
const MAX_WAITING = 64

export interface Announcements {
  batch(applied: Applied): void
  command(row: CommandRow): void
  idle(): Promise<void>
  /** Records opened for watchers since the start, and those that did not open. */
  readonly opened: number
  readonly unreadable: number
}

export interface AnnouncementsDependencies {
  watchers: Watchers
  keys: Pick<Keys, 'open'>
  log: Log
}

/** Opens what is watched, and only that, and hands it to the watchers in order. */
export function createAnnouncements({ watchers, keys, log }: AnnouncementsDependencies): Announcements {
  let tail: Promise<void> = Promise.resolve()
  let waiting = 0
  let opened = 0
  let unreadable = 0

  function inOrder(job: () => Promise<void>): void {
    waiting += 1
    tail = tail.then(job).then(
      () => {
        waiting -= 1
      },
      (error: unknown) => {
        waiting -= 1
        log.error('an update could not be handed to its watchers', { error })
      },
    )
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
      if (!isAppError(error, 'integrity_failed') && !isAppError(error, 'not_found')) {
        watchers.push(r.tenureId, { kind: 'resync' })
        throw error
      }
      unreadable += 1
      log.error('a record did not open', { error, tenureId: r.tenureId, recordId: r.recordId })
    }
  }

  return {
    batch({ base, records }) {
      const watched = records.flatMap((r, index) => {
        const device = watchers.watched(r.tenureId)
        return device ? [{ device, r, seq: base + index + 1 }] : []
      })
      if (watched.length === 0) return
      if (waiting >= MAX_WAITING) {
        for (const tenureId of new Set(watched.map(({ r }) => r.tenureId))) {
          watchers.push(tenureId, { kind: 'resync' })
        }
        return
      }
      inOrder(async () => {
        for (const { device, r, seq } of watched) await record(device, r, seq)
      })
    },
    command(row) {
      if (!watchers.watched(row.tenure_id)) return
      inOrder(async () => {
        const command = viewOf(await keys.open(row.key_id), row)
        watchers.push(row.tenure_id, { kind: 'command', deviceId: row.device_id, command })
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
