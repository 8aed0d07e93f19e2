import { setTimeout as sleep } from 'node:timers/promises'
import type { Database, Log } from '../core/index.ts'
import type { AfterCommit, Reader, RecordHandler, StreamLimits, StreamRecord } from './face.ts'
import type { HeadWatch } from './head-watch.ts'
import type { RecordTable } from './record-table.ts'
import type { Tail } from './tail.ts'

/** How soon to look again when another process holds the reader's place. */
const TAKEN_RETRY_MS = 100

export interface RunningReader extends Reader {
  readonly name: string
  /** Handed-over batches that failed, and were or will be handed over again. */
  readonly failures: number
}

export function createReader(o: {
  name: string
  handle: RecordHandler
  database: Database
  table: RecordTable
  tail: Tail
  head: HeadWatch
  limits: StreamLimits
  log: Log
  /** Told after each advance, and when the reader ends. */
  onAdvance: () => void
}): RunningReader {
  const { name, handle, database, table, tail, head, limits, onAdvance } = o
  const log = o.log.child({ reader: name })
  let closing = new AbortController()
  let running: Promise<void> | undefined
  let position = 0
  let failures = 0
  /** Of the batch in hand: told when the reader's place has moved beyond it. */
  let afterCommit: { seq: number; tell: AfterCommit } | undefined

  function moveTo(seq: number): void {
    position = seq
    const due = afterCommit
    afterCommit = undefined
    if (due && due.seq <= seq) due.tell()
  }

  async function follow(signal: AbortSignal): Promise<void> {
    let known = true
    let pauseMs = limits.retryFirstMs
    while (!signal.aborted) {
      try {
        // After a failure the commit may have gone through or not: only the table knows.
        if (!known) moveTo(await table.position(name))
        known = true
        if (position >= head.seq) {
          await head.beyond(position, signal)
          continue
        }
        const heard = head.seq
        const records = tail.after(position) ?? (await table.after(position))
        if (records.length > 0) await apply(records, signal)
        else await checkHead(heard)
        pauseMs = limits.retryFirstMs
      } catch (error) {
        if (signal.aborted) return
        known = false
        failures++
        log.error('a reader of the stream failed and will try again', {
          error,
          position,
          retryAfterMs: pauseMs,
        })
        await sleep(pauseMs, undefined, { signal }).catch(() => {})
        pauseMs = Math.min(pauseMs * 2, limits.retryLastMs)
      }
    }
  }

  /** The head promised records that are not there. Without this the reader would ask again and again. */
  async function checkHead(heard: number): Promise<void> {
    const actual = await table.head()
    if (head.seq === heard) head.lower(actual)
  }

  async function apply(records: StreamRecord[], signal: AbortSignal): Promise<void> {
    const last = records.at(-1)?.seq ?? position
    const applied = await database.transaction(async (tx) => {
      if (!(await table.move(tx, name, position, last))) return false
      const tell = await handle(tx, records)
      afterCommit = tell ? { seq: last, tell } : undefined
      return true
    })
    if (applied) {
      moveTo(last)
      onAdvance()
      return
    }
    const elsewhere = await table.position(name)
    if (elsewhere === position) await sleep(TAKEN_RETRY_MS, undefined, { signal }).catch(() => {})
    position = elsewhere
    onAdvance()
  }

  return {
    name,
    get position() {
      return position
    },
    get failures() {
      return failures
    },

    async start() {
      if (running !== undefined) return
      closing = new AbortController()
      position = await table.position(name)
      head.raise(await table.head())
      running = follow(closing.signal)
    },

    async close() {
      closing.abort()
      await running
      running = undefined
      onAdvance()
    },
  }
}
