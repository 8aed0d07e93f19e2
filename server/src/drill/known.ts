import type { Personal, Secret } from '../core/index.ts'
import { distinct, encodingsOf, encodingsOfBytes, type Pattern } from './search/encodings.ts'

/** What names a person, and what lets somebody act as one. */
export type KnownKind =
  | 'e-mail address'
  | 'name'
  | 'home'
  | 'nickname'
  | 'network name'
  | 'MAC address'
  | 'serial number'
  | 'IP address'
  | 'content'
  | 'credential'

/** One value that the attacker holds already, and only wants to find again. */
export interface Known {
  kind: KnownKind
  /** Whose it is, without naming them: `household 2`. */
  whose: string
  value: Personal | Secret
}

/** A pattern, and what it would mean to find it. */
export interface Sought extends Pattern {
  known: Known
}

/** Every form of every value without a key and without a hash. */
export function soughtFor(known: readonly Known[]): Sought[] {
  return known.flatMap((each) =>
    distinct([...textForms(each), ...rawForms(each)]).map((form) => ({ ...form, known: each })),
  )
}

function textForms(known: Known): Pattern[] {
  return writingsOf(known).flatMap(encodingsOf)
}

function rawForms(known: Known): Pattern[] {
  const bytes = rawBytes(known)
  if (!bytes) return []
  return [{ encoding: 'raw bytes', bytes, ignoreCase: false }, ...encodingsOfBytes(bytes)]
}

/** The ways in which programs write one and the same value. */
export function writingsOf({ kind, value }: Known): string[] {
  const text = value.reveal()
  switch (kind) {
    case 'e-mail address':
      return unique([text, text.replace(/\+[^@]*@/, '@')])
    case 'name': {
      const parts = text.split(/\s+/)
      const turned = parts.length > 1 ? [`${parts.at(-1)}, ${parts.slice(0, -1).join(' ')}`] : []
      return unique([text, ...turned, ...['.', '_', '-', ''].map((between) => parts.join(between))])
    }
    case 'MAC address': {
      const digits = text.replaceAll(/[^0-9a-f]/gi, '')
      const by = (size: number, between: string) =>
        digits.match(new RegExp(`.{${size}}`, 'g'))?.join(between) ?? digits
      return unique([text, by(2, ':'), by(2, '-'), by(4, '.'), digits])
    }
    case 'serial number':
    case 'credential':
      return unique([text, text.replaceAll('-', '')])
    default:
      return [text]
  }
}

/** As a program keeps it that counts every byte. */
export function rawBytes({ kind, value }: Known): Buffer | undefined {
  const text = value.reveal()
  const hex = text.replaceAll(/[:.\-\s]/g, '')
  if (kind === 'MAC address') return Buffer.from(hex, 'hex')
  if (kind !== 'credential') return undefined
  if (/^([0-9a-f]{2}){16,}$/i.test(hex)) return Buffer.from(hex, 'hex')
  return /^[A-Za-z0-9_-]{22,}$/.test(text) ? Buffer.from(text, 'base64url') : undefined
}

function unique(texts: string[]): string[] {
  return [...new Set(texts)]
}
