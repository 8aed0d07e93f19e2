import { createHmac, hash } from 'node:crypto'
import { setImmediate as breathe } from 'node:timers/promises'
import type { Finding } from '../face.ts'
import { type Known, writingsOf } from '../known.ts'
import type { DumpedRow } from '../stores/dump.ts'
import { byteaOf, textsOf } from '../stores/dumped-rows.ts'
import { narrowFields } from './unkeyed.ts'

export interface RowAttack {
  findings: Finding[]
  tried: string[]
}

const ALGORITHMS = ['md5', 'sha1', 'sha256'] as const
/** A digest is named by its first eight bytes: so a cut one counts as well. */
const NAME_BYTES = 8
const MAX_SALTED_GUESSES = 500_000
const CODES = 1_000_000
/** Makers number their devices in order: so far around a MAC address that is known. */
const NEIGHBOURS = 32_768
const GUESSES_A_TURN = 50_000

/** What is small enough to be tried through: codes, addresses, numbers near known ones, values with a salt beside them. */
export async function attackRows(
  rows: readonly DumpedRow[],
  known: readonly Known[],
  onProgress: (fraction: number) => void,
): Promise<RowAttack> {
  const attack: RowAttack = { findings: [], tried: [] }
  const report = (whose: string, what: string, how: string, where: string) =>
    void attack.findings.push({ attack: 'brute force', whose, what, how, where })
  const targets = digestsIn(rows)
  let guesses = 0
  for (const { what, count, guess } of smallSets(known)) {
    for (let number = 0; number < count; number += 1) {
      const text = guess(number)
      for (const algorithm of ALGORITHMS) {
        const where = targets.get(hash(algorithm, text, 'hex').slice(0, NAME_BYTES * 2))
        if (where) report('somebody', what, algorithm, where)
      }
      guesses += ALGORITHMS.length
      if (number % GUESSES_A_TURN === 0) {
        onProgress(guesses / (CODES * ALGORITHMS.length * 2))
        await breathe()
      }
    }
    attack.tried.push(
      `${what}: ${count.toLocaleString('en')} values by ${ALGORITHMS.join(', ')}, against ${targets.size} digests`,
    )
  }
  attack.tried.push(
    `hashes of four bytes (CRC, Adler, Murmur, FNV, xxHash, Java) of ${known.length} known values, against whole fields`,
  )
  const narrow = narrowFields(known)
  for (const row of rows) {
    for (const { column, text } of textsOf(row)) {
      const found = narrow.get(text)
      if (found) report(found.known.whose, found.known.kind, found.how, column)
    }
  }
  attack.tried.push(
    `${await salted(rows, known, report)} hashes of known values with a salt that stands in the same row`,
  )
  return attack
}

interface SmallSet {
  what: string
  count: number
  guess(number: number): string
}

function smallSets(known: readonly Known[]): SmallSet[] {
  const pad = (number: number, digits: number) => String(number).padStart(digits, '0')
  const macs = known
    .filter(({ kind }) => kind === 'MAC address')
    .map(({ value }) => Number.parseInt(value.reveal().replaceAll(':', ''), 16))
  const mac = (number: number) => (number.toString(16).padStart(12, '0').match(/../g) ?? []).join(':')
  const addresses = ['192.168', '172.16', '10.0', '198.18', '198.19']
  return [
    { what: 'codes and PINs of six digits', count: CODES, guess: (number) => pad(number, 6) },
    { what: 'PINs of four digits', count: 10_000, guess: (number) => pad(number, 4) },
    {
      what: 'IPv4 addresses',
      count: addresses.length * 65_536,
      guess: (number) => `${addresses[number >> 16]}.${(number >> 8) & 255}.${number & 255}`,
    },
    ...macs.slice(0, 3).map((middle) => ({
      what: 'MAC addresses near a known one',
      count: NEIGHBOURS * 2,
      // The known one itself is looked for everywhere already.
      guess: (number: number) => mac(middle - NEIGHBOURS + number + (number < NEIGHBOURS ? 0 : 1)),
    })),
  ]
}

/** Every field that could be a digest, by its first bytes, with where it stands. */
function digestsIn(rows: readonly DumpedRow[]): Map<string, string> {
  const found = new Map<string, string>()
  for (const row of rows) {
    for (const { column, text } of textsOf(row)) {
      for (const bytes of digestForms(text)) found.set(bytes.subarray(0, NAME_BYTES).toString('hex'), column)
    }
  }
  return found
}

function digestForms(text: string): Buffer[] {
  const bytea = byteaOf(text)
  if (bytea) return bytea.length >= NAME_BYTES && bytea.length <= 64 ? [bytea] : []
  const hex = text.replaceAll('-', '')
  if (/^([0-9a-f]{2}){8,64}$/i.test(hex)) return [Buffer.from(hex, 'hex')]
  return /^[A-Za-z0-9+/_-]{11,88}={0,2}$/.test(text) ? [Buffer.from(text, 'base64')] : []
}

/** Salt before, behind, with a colon between, and as the key of an HMAC. */
async function salted(
  rows: readonly DumpedRow[],
  known: readonly Known[],
  report: (whose: string, what: string, how: string, where: string) => void,
): Promise<number> {
  const inputs = known
    .filter(({ kind }) => kind !== 'credential')
    .flatMap((each) =>
      writingsOf(each)
        .slice(0, 2)
        .map((text) => ({ known: each, text: Buffer.from(text.toLowerCase()) })),
    )
  let guesses = 0
  for (const row of inTurn(rows)) {
    if (guesses > MAX_SALTED_GUESSES) break
    const targets = digestsIn([row])
    if (targets.size === 0) continue
    const salts = [...textsOf(row)]
      .map(({ text }) => byteaOf(text) ?? Buffer.from(text))
      .filter(({ length }) => length > 0 && length <= 64)
    for (const salt of salts) {
      for (const { known: each, text } of inputs) {
        for (const input of [
          Buffer.concat([salt, text]),
          Buffer.concat([text, salt]),
          Buffer.concat([salt, COLON, text]),
        ]) {
          for (const algorithm of ALGORITHMS) {
            const where = targets.get(hash(algorithm, input, 'hex').slice(0, NAME_BYTES * 2))
            if (where) report(each.whose, each.kind, `${algorithm} with a salt`, where)
          }
        }
        const mac = createHmac('sha256', salt).update(text).digest('hex')
        const where = targets.get(mac.slice(0, NAME_BYTES * 2))
        if (where) report(each.whose, each.kind, 'hmac-sha256 under a value of the row', where)
        guesses += 10
      }
    }
    await breathe()
  }
  return guesses
}

const COLON = Buffer.from(':')

/** A row of each table, then the next of each. */
function* inTurn(rows: readonly DumpedRow[]): Generator<DumpedRow> {
  const tables = Map.groupBy(rows, ({ table }) => table)
  for (let index = 0, more = true; more; index += 1) {
    more = false
    for (const list of tables.values()) {
      const row = list[index]
      if (row) yield row
      more ||= index + 1 < list.length
    }
  }
}
