import { AppError, type Personal, type Secret } from '../core/index.ts'

const MIN_LENGTH = 10
const MAX_LENGTH = 256
const MIN_DIFFERENT_CHARACTERS = 4

/** The most used passwords of ten characters and more: the first that an attacker tries. Lower case. */
const common = new Set(
  `0123456789 0987654321 1234567890 12345678910 123456789a 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx3edc 9876543210
  a123456789 aa12345678 abcdefghij administrator baseball123 changeme123 charlie123 computer123 dragon1234
  football123 iloveyou12 iloveyou123 letmein123 letmein1234 liverpool1 manchester mypassword orfeo12345
  passw0rd123 password01 password10 password11 password12 password123 password1234 password12345 p@ssw0rd123
  princess12 q1w2e3r4t5 q1w2e3r4t5y6 qazwsxedcrfv qwer1234567 qwerasdfzxcv qwerty1234 qwerty12345 qwerty123456
  qwertyuiop qwertyuiop123 smarthome1 smarthome123 sunshine123 superman123 trustno1234 unknown123 welcome123
  welcome1234 zaq12wsxcde zxcvbnm123 zxcvbnm1234`.split(/\s+/),
)

/** What is hashed: the same characters however they were typed (NIST SP 800-63B section 3.1.1.2). */
export function normalisePassword(password: Secret): string {
  return password.reveal().normalize('NFKC')
}

/**
 * Length over composition rules, and a refusal of what is tried first (NIST SP 800-63B section 3.1.1.2).
 * @throws AppError invalid_request
 */
export function checkPassword(password: Secret, email: Personal): void {
  const text = normalisePassword(password)
  const length = [...text].length
  if (length < MIN_LENGTH) refuse(`The password needs at least ${MIN_LENGTH} characters.`)
  if (length > MAX_LENGTH) refuse(`The password can have at most ${MAX_LENGTH} characters.`)
  const lower = text.toLowerCase()
  const address = email.reveal().normalize('NFKC').trim().toLowerCase()
  const localPart = address.split('@')[0] ?? ''
  if ((address && lower.includes(address)) || lower === localPart) {
    refuse('The password must not contain the e-mail address.')
  }
  if (common.has(lower) || new Set(lower).size < MIN_DIFFERENT_CHARACTERS) {
    refuse('This password is among the first that an attacker tries. Choose another one.')
  }
}

function refuse(message: string): never {
  throw new AppError('invalid_request', { message })
}
