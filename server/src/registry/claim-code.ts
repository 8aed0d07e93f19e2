import { randomInt } from 'node:crypto'
import { Secret } from '../core/index.ts'

// Crockford's base 32: no I, L, O, U, so that a code can be read aloud and typed.
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const LENGTH = 16
const QR_PREFIX = 'HEARTH:1:'
/** What a device makes itself is longer than any label's code, so that the two are never the same. */
const FRESH = { min: 20, max: 32 }
const CODE = new RegExp(`^[${ALPHABET}]{${LENGTH}}$|^[${ALPHABET}]{${FRESH.min},${FRESH.max}}$`)

/** 80 random bits as `XXXX-XXXX-XXXX-XXXX`. */
export function newClaimCode(): Secret {
  const characters = Array.from({ length: LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)])
  return new Secret(characters.join('').replace(/(.{4})(?=.)/g, '$1-'))
}

/** What the QR code on a device says. */
export function claimCodeQrText(code: Secret): Secret {
  return new Secret(`${QR_PREFIX}${canonicalClaimCode(code) ?? ''}`)
}

/** The characters that are digested, whatever way a person typed or scanned them; undefined when it is no code. */
export function canonicalClaimCode(code: Secret): string | undefined {
  const given = code.reveal()
  if (given.length > 64) return undefined
  const upper = given.trim().toUpperCase()
  const typed = upper.startsWith(QR_PREFIX) ? upper.slice(QR_PREFIX.length) : upper
  const canonical = typed.replace(/[-\s]/g, '').replace(/[IL]/g, '1').replaceAll('O', '0')
  return CODE.test(canonical) ? canonical : undefined
}

/** Of a code that a device made at a reset, at least 100 bits; undefined when it is none. */
export function freshClaimCode(given: string): Secret | undefined {
  const canonical = canonicalClaimCode(new Secret(given))
  return canonical !== undefined && canonical.length >= FRESH.min ? new Secret(canonical) : undefined
}
