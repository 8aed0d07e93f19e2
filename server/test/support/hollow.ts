import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Personal } from '../../src/core/index.ts'
import { soughtHashes } from '../../src/drill/attack/unkeyed.ts'
import { type Known, type Sought, soughtFor } from '../../src/drill/known.ts'
import { compileMatcher, scan } from '../../src/drill/search/matcher.ts'

/** Every file below a directory, as bytes: what a thief of the disk has. */
export async function readAllBytes(directory: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>()
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    files.set(path, await readFile(path))
  }
  return files
}

/** Where any of the values stands in any of the files, in any encoding or unkeyed hash: `name (form) in path`. */
export function findIn(files: Map<string, Buffer>, values: Record<string, string>): string[] {
  const sought = Object.entries(values).flatMap(([whose, text]) => {
    const known: Known = { kind: 'content', whose, value: new Personal(text) }
    return [...soughtFor([known]), ...soughtHashes([known])]
  })
  const matcher = compileMatcher(sought)
  const found = new Set<string>()
  for (const [path, content] of files) {
    scan(matcher, content, (pattern) => {
      const { known, encoding } = sought[pattern] as Sought
      found.add(`${known.whose} (${encoding}) in ${path}`)
    })
  }
  return [...found]
}
