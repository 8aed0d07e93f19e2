import { inspect } from 'node:util'

const MASK = '[redacted]'

/** A value that prints nothing of itself: not in a string, JSON, a log line or `inspect`. */
abstract class Redacted {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The value itself. Every call is a place for a reviewer to look at. */
  reveal(): string {
    return this.#value
  }

  toString(): string {
    return MASK
  }

  toJSON(): string {
    return MASK
  }

  [inspect.custom](): string {
    return MASK
  }
}

/** A credential: a password, token, claim code or key. */
export class Secret extends Redacted {
  declare private readonly kind: 'secret'
}

/** Personal data: an e-mail address, name, nickname, network name, address, serial number. */
export class Personal extends Redacted {
  declare private readonly kind: 'personal'
}
