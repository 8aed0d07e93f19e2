import type { StreamLimits, StreamRecord } from './face.ts'

interface Batch {
  /** seq of its last record; its first follows the batch before. */
  last: number
  bytes: number
  records: StreamRecord[]
}

/**
 * The last records that this process committed itself, without a gap between them, so that a reader that follows
 * closely never reads them back from the table.
 */
export interface Tail {
  push(records: StreamRecord[], bytes: number): void
  /** What follows `position`, at most `readRecords` of it; undefined when it is not (or not all) held here. */
  after(position: number): StreamRecord[] | undefined
  /** Forgets what every reader has passed. */
  release(position: number): void
  /** Forgets everything: the database may have been set back while we could not see it. */
  clear(): void
  readonly size: number
}

export function createTail(limits: Pick<StreamLimits, 'tailRecords' | 'tailBytes' | 'readRecords'>): Tail {
  let batches: Batch[] = []
  let size = 0
  let bytes = 0

  function clear(): void {
    batches = []
    size = 0
    bytes = 0
  }

  function dropFirst(): void {
    const dropped = batches.shift()
    size -= dropped?.records.length ?? 0
    bytes -= dropped?.bytes ?? 0
  }

  return {
    clear,

    get size() {
      return size
    },

    push(records, batchBytes) {
      const first = records[0]
      if (first === undefined) return
      const previous = batches.at(-1)
      // Another process committed in between: those records are only in the table.
      if (previous && previous.last + 1 !== first.seq) clear()
      batches.push({ last: first.seq + records.length - 1, bytes: batchBytes, records })
      size += records.length
      bytes += batchBytes
      while (batches.length > 1 && (size > limits.tailRecords || bytes > limits.tailBytes)) dropFirst()
    },

    after(position) {
      const start = batches.findIndex((batch) => batch.last > position)
      const batch = batches[start]
      const first = batch?.records[0]
      if (!batch || !first || first.seq > position + 1) return undefined
      const found = first.seq === position + 1 ? batch.records : batch.records.slice(position + 1 - first.seq)
      if (found.length >= limits.readRecords) return found.slice(0, limits.readRecords)
      const next = batches[start + 1]
      if (!next || found.length + next.records.length > limits.readRecords) return found
      const joined = [...found]
      for (let i = start + 1; i < batches.length; i++) {
        const more = batches[i]?.records ?? []
        if (joined.length + more.length > limits.readRecords) break
        for (const record of more) joined.push(record)
      }
      return joined
    },

    release(position) {
      while (batches[0] && batches[0].last <= position) dropFirst()
    },
  }
}
