import type { Personal, Secret } from '../core/index.ts'
import { accountLetters } from './account-letters.ts'
import { guardLetters } from './guard-letters.ts'
import { householdLetters } from './household-letters.ts'
import { incidentLetters } from './incident-letters.ts'
import type { Kind } from './letter-kind.ts'

const catalogue = { ...accountLetters, ...householdLetters, ...guardLetters, ...incidentLetters }

type Catalogue = typeof catalogue
export type LetterKind = keyof Catalogue
type FieldOf<K extends LetterKind> = Catalogue[K] extends Kind<infer Field> ? Field : never

/** A letter as a caller gives it: its kind, and the fields that this kind has. */
export type Letter = {
  [K in LetterKind]: { kind: K } & Record<FieldOf<K>, Personal | Secret | string>
}[LetterKind]

/** The same with its fields in plain, as it stands inside the seal. */
export interface PlainLetter {
  kind: LetterKind
  fields: Record<string, string>
}

export function toPlain({ kind, ...fields }: Letter): PlainLetter {
  const plain = Object.entries(fields as Record<string, Personal | Secret | string>).map(([name, value]) => [
    name,
    oneLine(typeof value === 'string' ? value : value.reveal()),
  ])
  return { kind, fields: Object.fromEntries(plain) }
}

export function compose({ kind, fields }: PlainLetter): { subject: string; text: string } {
  const { subject, text } = catalogue[kind] as Kind<string>
  return { subject, text: `${text(fields)}\n\nHearthlock\n` }
}

export function usefulMs({ kind }: PlainLetter): number {
  return catalogue[kind].usefulMinutes * 60_000
}

/** What people typed stays within its line: it can't pose as a paragraph of ours. */
function oneLine(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ').trim()
}
