import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** PostgreSQL's own log, bounded: two files of `maxBytes` at most. */
export interface ServerLog {
  readonly path: string
  /** One line. Failing to write it (disk full) must not take the database down. */
  write(line: string): void
}

const MAX_LINE_LENGTH = 500

export function openServerLog(folder: string, maxBytes = 1024 * 1024): ServerLog {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, 'postgres.log')
  let sizeBytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  return {
    path,
    write(line) {
      const entry = `${line.slice(0, MAX_LINE_LENGTH)}\n`
      try {
        if (sizeBytes + entry.length > maxBytes) {
          renameSync(path, `${path}.1`)
          sizeBytes = 0
        }
        appendFileSync(path, entry, { mode: 0o600 })
        sizeBytes += Buffer.byteLength(entry)
      } catch {
        // Nowhere to tell it: the log itself is what fails.
      }
    },
  }
}
