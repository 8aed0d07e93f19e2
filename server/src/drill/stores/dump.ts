import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

/** A row as a reader of the database gets it: `bytea` as `\x` and hex, as PostgreSQL writes it. */
export interface DumpedRow {
  table: string
  fields: Record<string, unknown>
}

/** All that the database tells who may read it: tables, and what PostgreSQL itself notes down of them. */
export type Dump = () => AsyncIterable<DumpedRow>

/** A file of one JSON object a line for each table. */
export async function writeDumps(dump: Dump, folder: string): Promise<{ files: string[]; rows: number }> {
  const files = new Set<string>()
  let rows = 0
  let table: string | undefined
  let lines: string[] = []
  const flush = async () => {
    if (table === undefined || lines.length === 0) return
    const path = join(folder, `${table.replaceAll(/[^\w.-]/g, '_')}.ndjson`)
    await pipeline(lines, createWriteStream(path, { flags: 'a', mode: 0o600 }))
    files.add(path)
    lines = []
  }
  for await (const row of dump()) {
    if (row.table !== table || lines.length >= 5_000) await flush()
    table = row.table
    lines.push(`${JSON.stringify(row.fields)}\n`)
    rows += 1
  }
  await flush()
  return { files: [...files], rows }
}
