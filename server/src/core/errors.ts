/**
 * Every error that a person, a device or an operator can meet: a stable code and a sentence that is safe to
 * show to anybody. Rooms know no HTTP: `api` maps codes to statuses. docs/errors.md lists them all.
 */
export const errorCatalogue = {
  conflict: 'The request conflicts with the present state.',
  claim_refused:
    'This claim code cannot be used. Check the code, that the device is switched on and online, and, when somebody had it before, that it has just been reset.',
  code_refused: 'This code cannot be used. It may be mistyped, used already, or expired.',
  command_refused: 'The device does not take this command.',
  copy_refused: 'This copy cannot be made.',
  database_newer: 'The database was written by a newer version of Hearthlock.',
  destination_refused: 'Nothing is sent to this destination.',
  fresh_sign_in_needed: 'Sign in again first: this needs a sign-in of the last few minutes.',
  held_back:
    'This account was recovered a short while ago. A session from before must confirm that, or a day must pass.',
  idempotency_mismatch: 'This idempotency key was used before with another request.',
  integrity_failed: 'A stored value did not open. It has not been shown.',
  internal: 'Something went wrong on our side. The number below finds it in the log.',
  invalid_request: 'The request is not valid.',
  model_invalid: 'The model description is not valid.',
  not_found: 'There is nothing here, or nothing that you may see.',
  payload_refused: 'The payload does not fit the model of the device.',
  rate_limited: 'Too many requests. Wait before trying again.',
  root_key_refused: 'The root key cannot be used.',
  second_factor_needed: 'This account needs the code of its authenticator app as well.',
  sign_in_refused:
    'The e-mail address or the password is not right. After signing up, confirm the address with the mailed code first.',
  start_refused: 'Hearthlock did not start.',
  stale_tenure: 'The tenure of this device has ended.',
  too_large: 'The request is larger than allowed.',
  unauthenticated: 'Sign in first.',
  unsupported_media_type: 'The body must be JSON, sent as application/json.',
  use_dpop_nonce: 'The proof must carry the nonce that comes with this answer.',
  unavailable: 'The service is busy or starting. Try again shortly.',
} as const

export type ErrorCode = keyof typeof errorCatalogue

export interface AppErrorOptions {
  /** Overrides the catalogue's sentence; must be as safe to show: no value of anybody's, no credential. */
  message?: string
  /** For the log only; never leaves the server. */
  detail?: string
  cause?: unknown
  /** With `rate_limited` and `unavailable`: when to try again. */
  retryAfterSeconds?: number
}

export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  readonly detail: string | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    super(options.message ?? errorCatalogue[code], { cause: options.cause })
    this.code = code
    this.detail = options.detail
    this.retryAfterSeconds = options.retryAfterSeconds
  }
}

export function isAppError(error: unknown, code?: ErrorCode): error is AppError {
  return error instanceof AppError && (code === undefined || error.code === code)
}
