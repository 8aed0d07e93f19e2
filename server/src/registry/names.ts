import { AppError, Personal } from '../core/index.ts'

const MAX_LENGTH = 80

/**
 * A name that a person typed for a household or a device, ready to be sealed: NFC, without outer space.
 * @throws AppError invalid_request unless it is 1..80 characters without control characters
 */
export function checkName(what: string, name: Personal): string {
  const given = name.reveal()
  // Normalising may lengthen: look before and after, and before anything slow.
  if (given.length <= MAX_LENGTH * 4) {
    const text = given.normalize('NFC').trim()
    const length = [...text].length
    if (length >= 1 && length <= MAX_LENGTH && text.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text)) {
      return text
    }
  }
  throw new AppError('invalid_request', {
    message: `${what}: expected 1..${MAX_LENGTH} characters without line breaks or control characters.`,
  })
}

/** Four bytes for each character, at most. */
const PADDED_BYTES = MAX_LENGTH * 4

/**
 * Every name in one length, before it is sealed: a household could be found again in a copy by the lengths of its
 * names. The spaces at the end are no part of a name (see `checkName`).
 */
export function padName(name: string): string {
  return name + ' '.repeat(PADDED_BYTES - Buffer.byteLength(name))
}

export function unpadName(padded: Buffer): Personal {
  return new Personal(padded.toString().trimEnd())
}
