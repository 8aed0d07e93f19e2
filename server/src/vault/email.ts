import { AppError, type Personal } from '../core/index.ts'

/** RFC 5321 section 4.5.3.1, in bytes. */
const MAX_EMAIL_BYTES = 254
const MAX_LOCAL_BYTES = 64
const MAX_NAME_BYTES = 254
/** Controls, format characters (invisible ones and those that turn the writing direction), line ends. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u
const SPACE = /\s/u
/** Letters and digits of any script (RFC 6531), hyphens inside. */
const DOMAIN_LABEL = /^[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}-]{0,61}[\p{L}\p{M}\p{N}])?$/u

/** One address, one form: what the blind index digests. */
export function normaliseEmail(email: string): string {
  return email.normalize('NFC').trim().toLowerCase().normalize('NFC')
}

/** As typed, for writing to it: the part before the @ may depend on case (RFC 5321 section 2.4). */
export function tidy(text: string): string {
  return text.normalize('NFC').trim()
}

/**
 * An address that one can write to: `local@domain`. Quoted local parts and address literals are not taken.
 * @throws AppError invalid_request
 */
export function checkEmail(email: Personal): void {
  const text = tidy(email.reveal())
  const [local, domain, ...more] = text.split('@')
  const valid =
    fits(text, MAX_EMAIL_BYTES) &&
    fits(normaliseEmail(text), MAX_EMAIL_BYTES) &&
    more.length === 0 &&
    local !== undefined &&
    domain !== undefined &&
    fits(local, MAX_LOCAL_BYTES) &&
    !UNPRINTABLE.test(text) &&
    !SPACE.test(text) &&
    domain.split('.').every((label) => DOMAIN_LABEL.test(label))
  if (!valid) throw new AppError('invalid_request', { message: 'This is not an e-mail address.' })
}

/** @throws AppError invalid_request */
export function checkName(name: Personal): void {
  const text = tidy(name.reveal())
  if (!fits(text, MAX_NAME_BYTES) || UNPRINTABLE.test(text)) {
    throw new AppError('invalid_request', {
      message: `A name has 1 to ${MAX_NAME_BYTES} bytes of printable characters.`,
    })
  }
}

function fits(text: string, maxBytes: number): boolean {
  return text.length > 0 && text.isWellFormed() && Buffer.byteLength(text) <= maxBytes
}
