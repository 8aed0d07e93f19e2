import type { KeyObject } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { Finding } from '../face.ts'
import { type Known, soughtFor } from '../known.ts'
import type { Hit } from '../search/deep-search.ts'
import { searchFiles } from '../search/search.ts'
import { keyBeginnings, privateKeysIn } from './key-material.ts'
import { soughtHashes } from './unkeyed.ts'

export interface SearchAttack {
  findings: Finding[]
  /** Whose value was found, and by which encoding or hash. */
  found: { known: Known; encoding: string }[]
  privateKeys: KeyObject[]
  bytes: number
  unpackedBytes: number
  patterns: number
  tookMs: number
  skipped: string[]
}

/** A private key and what stands around it. */
const AROUND_BYTES = 8_192
const MAX_KEY_PLACES = 2_000

/** One pass over everything for all values in all encodings, for their unkeyed hashes, and for private keys. */
export async function attackBySearch(o: {
  known: readonly Known[]
  files: readonly string[]
  /** How a path is named in the report. */
  name: (path: string) => string
  onProgress: (searchedBytes: number, ofBytes: number) => void
}): Promise<SearchAttack> {
  const values = soughtFor(o.known).map((pattern) => ({ ...pattern, attack: 'search' }))
  const hashes = soughtHashes(o.known).map((pattern) => ({ ...pattern, attack: 'unkeyed hashes' }))
  const sought = [...values, ...hashes]
  const patterns = [...sought, ...keyBeginnings]
  const result = await searchFiles({ patterns, paths: o.files, onProgress: o.onProgress })

  const found = new Map<string, { known: Known; attack: string; encoding: string; hit: Hit; count: number }>()
  const keyPlaces: Hit[] = []
  for (const hit of result.hits) {
    const pattern = sought[hit.pattern]
    if (!pattern) {
      if (keyPlaces.length < MAX_KEY_PLACES) keyPlaces.push(hit)
      continue
    }
    const { known, encoding, attack } = pattern
    const key = [known.kind, known.whose, encoding, hit.path, known.value.reveal()].join('\0')
    const before = found.get(key)
    if (before) before.count += 1
    else found.set(key, { known, attack, encoding, hit, count: 1 })
  }
  const { keys, findings: keyFindings } = await openKeys(keyPlaces, o.name)
  return {
    findings: [...[...found.values()].map((each) => findingOf(each, o.name)), ...keyFindings],
    found: [...found.values()],
    privateKeys: keys,
    bytes: result.searchedBytes,
    unpackedBytes: result.unpackedBytes,
    patterns: patterns.length,
    tookMs: result.tookMs,
    skipped: result.skipped,
  }
}

function findingOf(
  {
    known,
    attack,
    encoding,
    hit,
    count,
  }: { known: Known; attack: string; encoding: string; hit: Hit; count: number },
  name: (path: string) => string,
): Finding {
  const inside = hit.inside.length > 0 ? `, in ${hit.inside.join(', ')}` : ''
  const more = count > 1 ? `, and ${count - 1} more` : ''
  return {
    attack,
    whose: known.whose,
    what: known.kind,
    how: encoding,
    where: `${name(hit.path)}${inside}, byte ${hit.at}${more}`,
  }
}

/** Keys of files only: what is packed was taken apart in memory, and its place is told by the search. */
async function openKeys(
  places: Hit[],
  name: (path: string) => string,
): Promise<{ keys: KeyObject[]; findings: Finding[] }> {
  const keys = new Map<string, KeyObject>()
  const findings: Finding[] = []
  for (const { path, at, inside } of places) {
    if (inside.length > 0) continue
    const file = await open(path).catch(() => undefined)
    if (!file) continue
    try {
      const from = Math.max(0, at - 512)
      const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(AROUND_BYTES), position: from })
      for (const key of privateKeysIn(buffer.subarray(0, bytesRead))) {
        const der = key.export({ format: 'der', type: 'pkcs8' }).toString('base64')
        if (keys.has(der)) continue
        keys.set(der, key)
        const what = `private key, ${key.asymmetricKeyType}`
        findings.push({
          attack: 'search',
          whose: 'nobody yet',
          what,
          how: 'plain',
          where: `${name(path)}, byte ${at}`,
        })
      }
    } finally {
      await file.close()
    }
  }
  return { keys: [...keys.values()], findings }
}
