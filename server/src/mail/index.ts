import type { Migrations } from '../core/index.ts'

export type { Addressee, Mail, MailOptions, ShownLetter, SmtpOptions, WaitingLetter } from './face.ts'
export { STEP } from './guard-letters.ts'
export type { Letter, LetterKind } from './letters.ts'
export { createMail } from './mail.ts'

export const mailMigrations: Migrations = {
  room: 'mail',
  folder: new URL('./migrations/', import.meta.url),
}
