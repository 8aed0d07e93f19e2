import { AppError } from '../core/index.ts'

const MAX_CHARACTERS = 8_000

/** What a letter can say of its reader; `required` must stand in every template. */
const placeholders = {
  name: { required: false, says: 'the reader’s name' },
  store: { required: false, says: 'the store’s name' },
  from: { required: true, says: 'the first day' },
  to: { required: true, says: 'the last day' },
  fields: { required: true, says: 'which of their data it was' },
} as const

type Placeholder = keyof typeof placeholders
export type NoticeFields = Record<Placeholder, string>

export const usualTemplate = `Dear {{name}},

a copy of some of our data could be read by strangers at some time from {{from}} to {{to}}. Data from your home
was in it, without your name or address:

{{fields}}

The copy has been closed. You need not do anything: your devices and your account could not be reached with it.

If you have questions, please answer this letter.
`

/**
 * A letter's text with `{{name}}` and the like. @throws AppError invalid_request with what is wrong, where
 */
export function checkTemplate(template: string): string {
  const text = template.replaceAll('\r\n', '\n').trim()
  if (text === '') throw wrong('The template is empty.')
  if (text.length > MAX_CHARACTERS) throw wrong(`The template is longer than ${MAX_CHARACTERS} characters.`)
  const strange = /[^\P{C}\n\u200c\u200d]/u.exec(text)
  if (strange) throw wrong(`Line ${lineOf(text, strange.index)} has a control character.`)
  const used = new Set<string>()
  for (const { 0: whole, 1: name = '', index } of text.matchAll(/\{\{\s*([^{}]*?)\s*\}\}/g)) {
    if (!(name in placeholders)) {
      throw wrong(`Line ${lineOf(text, index)}: ${whole} is none of ${list(Object.keys(placeholders))}.`)
    }
    used.add(name)
  }
  const rest = text.replaceAll(/\{\{\s*[^{}]*?\s*\}\}/g, '')
  if (/\{\{|\}\}/.test(rest)) throw wrong('A placeholder is not closed: write {{name}}.')
  const missing = Object.entries(placeholders).filter(([name, { required }]) => required && !used.has(name))
  if (missing.length > 0) {
    const named = missing.map(([name, { says }]) => `{{${name}}} (${says})`).join(' and ')
    throw wrong(`The template lacks ${named}: people must be told that.`)
  }
  return text
}

/** What stands in for a placeholder is never read as one. */
export function fillTemplate(template: string, fields: NoticeFields): string[] {
  const text = template.replaceAll(/\{\{\s*([^{}]*?)\s*\}\}/g, (_, name: Placeholder) => fields[name])
  return text.split('\n')
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length
}

function list(names: readonly string[]): string {
  return names.map((name) => `{{${name}}}`).join(', ')
}

function wrong(message: string): AppError {
  return new AppError('invalid_request', { message })
}
