import type { DumpedRow } from '../stores/dump.ts'
import { byteaOf, textsOf } from '../stores/dumped-rows.ts'

/** A string out of the copy that might open something. */
export interface Candidate {
  /** Table and column, or file. */
  from: string
  text: string
}

const MIN_LENGTH = 8
const MAX_LENGTH = 512
/** Bits a character: words and numbers have fewer. */
const MIN_ENTROPY = 2.5
const CODE_ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const TOKEN = /[A-Za-z0-9_\-.+/=~]{16,512}/g

/**
 * Strings of high entropy, and bytes in every form in which a program would show them; from every column in turn, so that
 * a bound leaves out no column.
 */
export function candidatesOf(rows: readonly DumpedRow[], printed: string, limit: number): Candidate[] {
  const byColumn = new Map<string, Set<string>>()
  const add = (from: string, text: string) => {
    const column = byColumn.get(from) ?? new Set()
    if (column.size < limit) column.add(text)
    byColumn.set(from, column)
  }
  for (const row of rows) {
    for (const { column, text } of textsOf(row)) {
      const bytes = byteaOf(text)
      if (bytes) for (const shown of writingsOf(bytes)) add(column, shown)
      else if (isLikely(text)) add(column, text)
    }
  }
  for (const [text] of printed.matchAll(TOKEN)) if (isLikely(text)) add('what it printed', text)
  return inTurn(byColumn, limit)
}

/** A long sealed value is no string that anybody hands out: its beginning stands for it. */
function writingsOf(bytes: Buffer): string[] {
  if (bytes.length < MIN_LENGTH) return []
  const own = bytes.length > 128 ? bytes.subarray(0, 32) : bytes
  const printable = own.toString('latin1')
  return [
    own.toString('base64url'),
    own.toString('hex'),
    ...(/^[\x21-\x7e]+$/.test(printable) ? [printable] : []),
    typedCode(own),
  ]
}

/** As the codes are written that people type: four groups of four. */
function typedCode(bytes: Buffer): string {
  const characters = [...bytes.subarray(0, 16)].map((byte) => CODE_ALPHABET[byte % 32]).join('')
  return characters.replace(/(.{4})(?=.)/g, '$1-')
}

function isLikely(text: string): boolean {
  return (
    text.length >= MIN_LENGTH &&
    text.length <= MAX_LENGTH &&
    /^[^\s\p{Cc}]+$/u.test(text) &&
    entropy(text) >= MIN_ENTROPY
  )
}

function entropy(text: string): number {
  const counts = new Map<string, number>()
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
  return [...counts.values()].reduce(
    (sum, count) => sum - (count / text.length) * Math.log2(count / text.length),
    0,
  )
}

function inTurn(byColumn: Map<string, Set<string>>, limit: number): Candidate[] {
  const columns = [...byColumn].map(([from, texts]) => ({ from, texts: [...texts] }))
  const taken: Candidate[] = []
  for (let index = 0; taken.length < limit && columns.some(({ texts }) => index < texts.length); index += 1) {
    for (const { from, texts } of columns) {
      const text = texts[index]
      if (text !== undefined && taken.length < limit) taken.push({ from, text })
    }
  }
  return taken
}
