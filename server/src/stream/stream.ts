import { AppError, type Clock, type Database, type Log } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { Stream, StreamLimits } from './face.ts'
import { createGroupCommit } from './group-commit.ts'
import { createHeadWatch } from './head-watch.ts'
import { defaultLimits } from './limits.ts'
import { createLogConnection } from './log-connection.ts'
import type { PendingRecord } from './pending-record.ts'
import { createReader, type RunningReader } from './reader.ts'
import { createRecordIds } from './record-id.ts'
import { createRecordTable } from './record-table.ts'
import { createTail } from './tail.ts'
import { createWriter } from './writer.ts'

export interface StreamDependencies {
  database: Database
  keys: Pick<Keys, 'open'>
  clock: Clock
  log: Log
  limits?: Partial<StreamLimits> | undefined
}

/** The log in PostgreSQL. Takes one connection for itself beside the database's pool. */
export function createStream({ database, keys, clock, log, limits: given }: StreamDependencies): Stream {
  const limits: StreamLimits = { ...defaultLimits, ...given }
  const head = createHeadWatch()
  const tail = createTail(limits)
  const table = createRecordTable(database, limits)
  const newRecordId = createRecordIds()
  const readers = new Map<string, RunningReader>()
  let poll: NodeJS.Timeout | undefined

  const connection = createLogConnection({
    database,
    log,
    limits,
    events: {
      onHead: (seq) => head.raise(seq),
      onUp: () => {
        tail.clear()
        commits.resume()
      },
      onDown: () => commits.suspend(),
    },
  })
  const commits = createGroupCommit({ connection, limits, log, onCommitted })

  function onCommitted(batch: PendingRecord[], base: number): void {
    let bytes = 0
    const records = batch.map((pending, i) => {
      pending.record.seq = base + 1 + i
      bytes += pending.sizeBytes
      return pending.record
    })
    if (readers.size > 0) tail.push(records, bytes)
    head.raise(base + batch.length)
  }

  /** A wake-up can be lost with its connection; then this is how long it takes. */
  function pollHead(): void {
    poll = setTimeout(() => {
      table
        .head()
        .then((seq) => head.raise(seq))
        .catch((error) => log.debug('the head of the stream could not be read', { error }))
        .finally(() => {
          if (poll) pollHead()
        })
    }, limits.pollMs)
  }

  function releaseTail(): void {
    tail.release(Math.min(...[...readers.values()].map((reader) => reader.position)))
  }

  return {
    get congested() {
      return commits.congested
    },
    onDrain: (callback) => commits.onDrain(callback),

    async start() {
      await connection.start()
      pollHead()
    },

    async close() {
      await commits.close()
      clearTimeout(poll)
      poll = undefined
      await Promise.all([...readers.values()].map((reader) => reader.close()))
      await connection.close()
    },

    async writer(tenure) {
      const key = await keys.open(tenure.keyId)
      return createWriter({ tenure, key, clock, limits, newRecordId, add: (pending) => commits.add(pending) })
    },

    async recentMessageKeys(tenureId, limit) {
      if (connection.outcomeUnknown) throw new AppError('unavailable', { retryAfterSeconds: 1 })
      return table.recentMessageKeys(tenureId, limit)
    },

    read: (after) => table.after(after),
    head: () => table.head(),

    reader(name, handle) {
      if (readers.has(name)) throw new AppError('conflict', { detail: `two readers are called ${name}` })
      const reader = createReader({
        name,
        handle,
        database,
        table,
        tail,
        head,
        limits,
        log,
        onAdvance: releaseTail,
      })
      readers.set(name, reader)
      return reader
    },

    stats() {
      const stats: Record<string, number> = {
        ...commits.stats(),
        stream_head: head.seq,
        stream_tail_records: tail.size,
        stream_reconnects_total: connection.reconnects,
      }
      for (const { name, position, failures } of readers.values()) {
        stats[`stream_reader_${name}_lag`] = Math.max(0, head.seq - position)
        stats[`stream_reader_${name}_failures_total`] = failures
      }
      return stats
    },
  }
}
