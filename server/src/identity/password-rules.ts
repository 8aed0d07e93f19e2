import { AppError, type Personal, Secret } from '../core/index.ts'
import type { PasswordStrength } from './password-strength.ts'

const MIN_LENGTH = 10
const MAX_LENGTH = 256
/** zxcvbn's scale of 0 to 4: three is a hundred million guesses or more. */
const MIN_SCORE = 3

/** What is hashed: the same characters however they were typed (NIST SP 800-63B section 3.1.1.2). */
export function normalisePassword(password: Secret): string {
  return password.reveal().normalize('NFKC')
}

/**
 * Length and an estimate of the guesses it takes, over rules of composition (NIST SP 800-63B section 3.1.1.2). What an
 * attacker knows of the person counts for nothing. Says what is weak, and never the password.
 * @throws AppError invalid_request, unavailable
 */
export type CheckPassword = (
  password: Secret,
  person: { email: Personal; name?: Personal | undefined },
) => Promise<void>

export function createCheckPassword(strength: PasswordStrength): CheckPassword {
  return async (password, { email, name }) => {
    const text = normalisePassword(password)
    const length = [...text].length
    if (length < MIN_LENGTH) refuse(`The password needs at least ${MIN_LENGTH} characters.`)
    if (length > MAX_LENGTH) refuse(`The password can have at most ${MAX_LENGTH} characters.`)
    const lower = text.toLowerCase()
    const address = email.reveal().normalize('NFKC').trim().toLowerCase()
    const [localPart = '', domain = ''] = address.split('@')
    if ((address && lower.includes(address)) || lower === localPart) {
      refuse('The password must not contain the e-mail address.')
    }
    const known = [address, localPart, ...domain.split('.'), ...words(name), 'hearthlock']
    const { score, why } = await strength.estimate(new Secret(text), known)
    if (score < MIN_SCORE) refuse(`This password is too easy to guess. ${why}`.trim())
  }
}

function words(name: Personal | undefined): string[] {
  const text = name?.reveal().normalize('NFKC').toLowerCase() ?? ''
  return [text, ...text.split(/\s+/)].filter((word) => word !== '')
}

function refuse(message: string): never {
  throw new AppError('invalid_request', { message })
}
