import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDatabase, Secret, silentLog } from '../../src/core/index.ts'
import { WINDOW_BYTES } from '../../src/drill/search/deep-search.ts'
import { encodingsOf, type Pattern } from '../../src/drill/search/encodings.ts'
import { compileMatcher, scan } from '../../src/drill/search/matcher.ts'
import { searchFiles } from '../../src/drill/search/search.ts'
import { createEmbeddedPostgres } from '../../src/embedded/index.ts'

const VALUE = 'Ærtha.Lovelace+marked@example.org'

/** Ways in which programs write a text; what is searched for is made elsewhere, from the value alone. */
const writers: Record<string, (text: string) => Buffer> = {
  plain: (text) => Buffer.from(text),
  'upper case': (text) => Buffer.from(text.toUpperCase()),
  'lower case': (text) => Buffer.from(text.toLowerCase()),
  decomposed: (text) => Buffer.from(text.normalize('NFD')),
  'latin-1': (text) => Buffer.from(text, 'latin1'),
  'utf-16le': (text) => Buffer.from(text, 'utf16le'),
  'utf-16be': (text) => Buffer.from(text, 'utf16le').swap16(),
  hex: (text) => Buffer.from(Buffer.from(text).toString('hex')),
  'hex, upper case': (text) => Buffer.from(Buffer.from(text).toString('hex').toUpperCase()),
  url: (text) => Buffer.from(encodeURIComponent(text)),
  form: (text) => Buffer.from(new URLSearchParams({ v: text }).toString()),
  json: (text) => Buffer.from(JSON.stringify({ v: text })),
  'json, ascii': (text) =>
    Buffer.from(
      JSON.stringify(text).replace(
        /[^\0-\x7f]/g,
        (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
      ),
    ),
  ...Object.fromEntries(
    [0, 1, 2, 3, 4].map((before) => [
      `base64 after ${before} bytes`,
      (text: string) =>
        Buffer.from(Buffer.concat([randomBytes(before), Buffer.from(`${text}!`)]).toString('base64')),
    ]),
  ),
  base64url: (text) => Buffer.from(Buffer.from(`{"e":"${text}"}`).toString('base64url')),
  'base64 of utf-16le': (text) => Buffer.from(Buffer.from(text, 'utf16le').toString('base64')),
}

const packers: Record<string, (data: Buffer) => Buffer> = {
  gzip: (data) => gzipSync(data),
  zlib: (data) => deflateSync(data),
  zstd: (data) => zstdCompressSync(data),
  'gzip in gzip': (data) => gzipSync(Buffer.concat([Buffer.from('outer '), gzipSync(data)])),
  zip: (data) => zip(data),
}

function zip(data: Buffer): Buffer {
  const head = Buffer.alloc(30)
  head.write('504b0304', 'hex')
  head.writeUInt16LE(8, 8)
  head.writeUInt16LE(5, 26)
  return Buffer.concat([head, Buffer.from('a.txt'), deflateRawSync(data)])
}

function occurrences(patterns: Pattern[], data: Buffer): { pattern: number; at: number }[] {
  const found: { pattern: number; at: number }[] = []
  scan(compileMatcher(patterns), data, (pattern, at) => found.push({ pattern, at }))
  return found
}

describe('the search', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hearthlock-search-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  async function found(data: Buffer, patterns = encodingsOf(VALUE)) {
    const path = join(folder, randomBytes(6).toString('hex'))
    await writeFile(path, data)
    const result = await searchFiles({ patterns, paths: [path], threads: 1 })
    await rm(path)
    return result
  }

  it('finds whatever patterns were planted, at whatever offsets, and nothing else', () => {
    const pattern = fc.uint8Array({ minLength: 6, maxLength: 40 }).map((bytes) => Buffer.from(bytes))
    fc.assert(
      fc.property(
        fc.array(pattern, { minLength: 1, maxLength: 40 }),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 50 })), { minLength: 1, maxLength: 20 }),
        (plants, order) => {
          const patterns = plants.map((bytes) => ({ bytes, encoding: 'raw', ignoreCase: false }))
          const pieces: Buffer[] = []
          for (const [index, gap] of order) {
            pieces.push(randomBytes(gap), plants[index % plants.length] as Buffer)
          }
          const data = Buffer.concat(pieces)
          const expected = patterns.flatMap(({ bytes }, pattern) => {
            const all: string[] = []
            for (let at = data.indexOf(bytes); at >= 0; at = data.indexOf(bytes, at + 1))
              all.push(`${pattern} ${at}`)
            return all
          })
          const got = occurrences(patterns, data).map(({ pattern, at }) => `${pattern} ${at}`)
          expect(got.sort()).toEqual(expected.sort())
        },
      ),
      { numRuns: 300 },
    )
  })

  it('finds letters in either case only where the encoding lets them be', () => {
    const bytes = Buffer.from('Marked@Home')
    const ignoring = [{ bytes, encoding: 'plain', ignoreCase: true }]
    const exact = [{ bytes, encoding: 'base64', ignoreCase: false }]
    expect(occurrences(ignoring, Buffer.from('xmARKED@hOMEx'))).toEqual([{ pattern: 0, at: 1 }])
    // '`' differs from '@' by the same bit as 'a' from 'A'.
    expect(occurrences(ignoring, Buffer.from('xMarked`Homex'))).toEqual([])
    expect(occurrences(exact, Buffer.from('xmarked@homex'))).toEqual([])
  })

  it.each(Object.keys(writers))('finds a value that is written as %s, at every offset', async (name) => {
    const patterns = encodingsOf(VALUE)
    const matcher = compileMatcher(patterns)
    for (let offset = 0; offset < 24; offset += 1) {
      const data = Buffer.concat([randomBytes(offset), writers[name]?.(VALUE) as Buffer, randomBytes(9)])
      let hits = 0
      scan(matcher, data, () => (hits += 1))
      expect(hits, `at ${offset}`).toBeGreaterThan(0)
    }
  })

  it.each(Object.keys(packers))('finds a value inside of %s, behind other bytes', async (name) => {
    for (const before of [0, 1, 4_097]) {
      const inner = Buffer.from(
        `${randomBytes(2_000).toString('hex')} ${VALUE} ${randomBytes(200_000).toString('hex')}`,
      )
      const packed = packers[name]?.(inner) as Buffer
      expect(packed.includes(Buffer.from(VALUE))).toBe(false)
      const { hits } = await found(Buffer.concat([randomBytes(before), packed, randomBytes(100)]))
      expect(
        hits.map(({ inside }) => inside.length > 0),
        `after ${before}`,
      ).toContain(true)
    }
  })

  it('finds what lies across the border of two pieces of a large file, once', async () => {
    const patterns = [{ bytes: Buffer.from(VALUE), encoding: 'plain', ignoreCase: true }]
    const data = Buffer.alloc(WINDOW_BYTES + 1_000)
    Buffer.from(VALUE).copy(data, WINDOW_BYTES - 10)
    const { hits, searchedBytes } = await found(data, patterns)
    expect(hits).toMatchObject([{ at: WINDOW_BYTES - 10, inside: [] }])
    expect(searchedBytes).toBe(data.length)
  })

  it('says what it could not read', async () => {
    const { skipped, hits } = await searchFiles({
      patterns: encodingsOf(VALUE),
      paths: ['/proc/self/mem', join(folder, 'gone')],
    })
    expect(hits).toEqual([])
    expect(skipped).toEqual([])
  })
})

describe('the search in the files of a database', () => {
  const password = new Secret(randomBytes(24).toString('hex'))
  let folder: string
  let postgres: ReturnType<typeof createEmbeddedPostgres>
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hearthlock-search-'))
    postgres = createEmbeddedPostgres({ dataDir: folder, password, log: silentLog })
    const database = openDatabase({ connection: await postgres.start(), log: silentLog })
    // Long enough to be compressed, and to be kept out of line.
    const [inRow, deleted, outOfLine, external] = ['in-row', 'deleted', 'out-of-line', 'external'].map(
      (name) => `marked-${name}@example.org`,
    )
    await database.pool.query('create table marked (name text, note text)')
    await database.pool.query('alter table marked alter column name set storage external')
    const repeated = (address?: string) =>
      `${'all the same words '.repeat(200)}${address}${' and again more of it'.repeat(100)}`
    await database.pool.query('insert into marked values ($1, $2), ($1, $3)', [
      'x',
      repeated(inRow),
      repeated(deleted),
    ])
    await database.pool.query('insert into marked values ($1, $2)', [
      'x',
      `${repeated(outOfLine)}${randomBytes(9_000).toString('hex')}`,
    ])
    // A piece out of line is 1,996 bytes long: one of these addresses stands across the end of one.
    await database.pool.query('insert into marked values ($1)', [
      Array.from({ length: 900 }, (_, index) => `${external}${String(index).padStart(5, '0')}`).join(''),
    ])
    await database.pool.query('delete from marked where note like $1', [`%${deleted}%`])
    await database.pool.query('checkpoint').catch(() => {})
    await database.close()
    await postgres.close()
  }, 60_000)
  afterAll(() => rm(folder, { recursive: true }))

  it.each(['in-row', 'deleted', 'out-of-line', 'external'])(
    'finds a value that is kept %s and compressed',
    async (name) => {
      const value = `marked-${name}@example.org`
      const paths = (await readdir(folder, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
      const { hits } = await searchFiles({ patterns: encodingsOf(value), paths })
      const places = hits.map(
        ({ path, inside }) => `${path.includes('pg_wal') ? 'log' : 'table'} ${inside.at(-1) ?? ''}`,
      )
      expect(places.some((place) => place.startsWith('table'))).toBe(true)
      expect(places.some((place) => place.startsWith('log'))).toBe(true)
      // Not by luck, where enough of it stands uncompressed.
      const packed = /^table (compressed value|value kept out of line)$/
      expect(places.some((place) => packed.test(place))).toBe(true)
    },
  )
})
