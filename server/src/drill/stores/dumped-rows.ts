import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import { createInterface } from 'node:readline'
import type { DumpedRow } from './dump.ts'

/** The rows of dumps again, at most so many of each file: what is tried with single rows is bounded. */
export async function readDumps(files: readonly string[], rowsOfEach: number): Promise<DumpedRow[]> {
  const rows: DumpedRow[] = []
  for (const path of files) {
    const lines = createInterface({ input: createReadStream(path) })
    let taken = 0
    for await (const line of lines) {
      if (taken === rowsOfEach) break
      const fields = parse(line)
      if (!fields) continue
      rows.push({ table: basename(path, '.ndjson'), fields })
      taken += 1
    }
    lines.close()
  }
  return rows
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** Every text in a row, with the name of its field; what lies deeper has that of the field that holds it. */
export function* textsOf({ table, fields }: DumpedRow): Generator<{ column: string; text: string }> {
  for (const [field, value] of Object.entries(fields)) {
    for (const text of flat(value)) yield { column: `${table}.${field}`, text }
  }
}

function* flat(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value
  else if (typeof value === 'number') yield String(value)
  else if (typeof value === 'object' && value !== null)
    for (const inner of Object.values(value)) yield* flat(inner)
}

/** The bytes of `bytea`, as PostgreSQL writes it. */
export function byteaOf(text: string): Buffer | undefined {
  return /^\\x([0-9a-f]{2})+$/.test(text) ? Buffer.from(text.slice(2), 'hex') : undefined
}
