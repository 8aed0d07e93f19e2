import { setTimeout as sleep } from 'node:timers/promises'
import { AppError, type Log } from '../core/index.ts'
import type { StreamLimits } from './face.ts'
import type { LogConnection } from './log-connection.ts'
import type { PendingRecord } from './pending-record.ts'

/** While batches follow each other closely, other processes are woken this often, and after the last one. */
const ANNOUNCE_EVERY_MS = 20
const REFUSED_PAUSE_LAST_MS = 1_000

/** Gathers appends while one batch is in flight: the more is to do, the larger the batches. */
export interface GroupCommit {
  /** Later settles the record by its `settle`, in the order of `add`. */
  add(pending: PendingRecord): void
  /** To be called when the connection is up again. */
  resume(): void
  /** Gives up everything that waits, until `resume`: the database is away. */
  suspend(): void
  /** Takes no more, and resolves when nothing waits. */
  close(): Promise<void>
  readonly congested: boolean
  onDrain(callback: () => void): () => void
  stats(): Record<string, number>
}

export function createGroupCommit(o: {
  connection: LogConnection
  limits: StreamLimits
  log: Log
  onCommitted: (batch: PendingRecord[], base: number) => void
}): GroupCommit {
  const { connection, limits, log, onCommitted } = o
  const drained = new Set<() => void>()
  const totals = { appended: 0, batches: 0, failed: 0, refused: 0 }
  let waiting: PendingRecord[] = []
  let waitingBytes = 0
  let inFlight: PendingRecord[] = []
  let inFlightBytes = 0
  let running: Promise<void> | undefined
  let away = false
  let closing = false
  let congested = false
  let announcedAtMs = 0

  const pendingRecords = () => waiting.length + inFlight.length
  const pendingBytes = () => waitingBytes + inFlightBytes

  function updateCongestion(): void {
    if (!congested) {
      congested = away || pendingRecords() > limits.highWaterRecords || pendingBytes() > limits.highWaterBytes
    } else if (
      !away &&
      pendingRecords() <= limits.lowWaterRecords &&
      pendingBytes() <= limits.lowWaterBytes
    ) {
      congested = false
      for (const callback of [...drained]) callback()
    }
  }

  function run(): void {
    if (running || waiting.length === 0 || !connection.up) return
    // At the end of this turn of the event loop, so that what all sockets brought in it shares the first batch.
    running = new Promise<void>((resolve) => setImmediate(resolve)).then(commitAll).finally(() => {
      running = undefined
      run()
    })
  }

  async function commitAll(): Promise<void> {
    for (let pauseMs = limits.retryFirstMs; waiting.length > 0 && connection.up; ) {
      takeBatch()
      const batch = inFlight
      try {
        const base = await connection.insert(batch, isAnnounced())
        totals.batches++
        totals.appended += batch.length
        pauseMs = limits.retryFirstMs
        settleBatch()
        onCommitted(batch, base)
        for (const pending of batch) pending.settle()
      } catch (error) {
        totals.failed += batch.length
        log.error('a batch of the stream failed', { error, records: batch.length })
        settleBatch()
        for (const pending of batch) pending.settle(unavailable(error))
        // Refused but still connected (a full disk): devices send again at once, so do not run in circles.
        if (connection.up) {
          await sleep(pauseMs)
          pauseMs = Math.min(pauseMs * 2, REFUSED_PAUSE_LAST_MS)
        }
      }
      updateCongestion()
    }
  }

  function takeBatch(): void {
    let count = 0
    inFlightBytes = 0
    for (const pending of waiting) {
      if (count === limits.batchRecords) break
      if (count > 0 && inFlightBytes + pending.sizeBytes > limits.batchBytes) break
      inFlightBytes += pending.sizeBytes
      count++
    }
    inFlight = waiting.splice(0, count)
    waitingBytes -= inFlightBytes
  }

  function settleBatch(): void {
    inFlight = []
    inFlightBytes = 0
  }

  function isAnnounced(): boolean {
    const nowMs = performance.now()
    if (waiting.length > 0 && nowMs - announcedAtMs < ANNOUNCE_EVERY_MS) return false
    announcedAtMs = nowMs
    return true
  }

  return {
    get congested() {
      return congested
    },

    add(pending) {
      const full =
        pendingRecords() >= limits.maxPendingRecords ||
        pendingBytes() + pending.sizeBytes > limits.maxPendingBytes
      if (closing || away || full) {
        totals.refused++
        pending.settle(unavailable())
        return
      }
      waiting.push(pending)
      waitingBytes += pending.sizeBytes
      if (!congested) updateCongestion()
      if (!running) run()
    },

    resume() {
      away = false
      updateCongestion()
      run()
    },

    suspend() {
      away = true
      const givenUp = waiting
      waiting = []
      waitingBytes = 0
      totals.failed += givenUp.length
      for (const pending of givenUp) pending.settle(unavailable())
      updateCongestion()
    },

    async close() {
      closing = true
      while (waiting.length > 0 || inFlight.length > 0) await (running ?? sleep(limits.retryFirstMs))
    },

    onDrain(callback) {
      drained.add(callback)
      return () => drained.delete(callback)
    },

    stats: () => ({
      stream_appended_total: totals.appended,
      stream_batches_total: totals.batches,
      stream_failed_total: totals.failed,
      stream_refused_total: totals.refused,
      stream_pending_records: pendingRecords(),
      stream_pending_bytes: pendingBytes(),
    }),
  }
}

function unavailable(cause?: unknown): AppError {
  return new AppError('unavailable', { retryAfterSeconds: 1, ...(cause ? { cause } : {}) })
}
