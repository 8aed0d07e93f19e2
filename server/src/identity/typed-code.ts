import { randomBytes } from 'node:crypto'
import { Secret } from '../core/index.ts'

// Crockford's base 32: no letter that is mistaken for a digit. Each character has 5 bits.
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const GROUP_LENGTH = 5

/** A random code of groups of five characters, for a person to type: `K7QWM-4ZD0P`. */
export function newTypedCode(groups: number): Secret {
  const characters = [...randomBytes(groups * GROUP_LENGTH)].map((byte) => ALPHABET[byte % 32])
  const texts = Array.from({ length: groups }, (_, group) =>
    characters.slice(group * GROUP_LENGTH, (group + 1) * GROUP_LENGTH).join(''),
  )
  return new Secret(texts.join('-'))
}

/** As typed by a person. */
export function normaliseTypedCode(code: Secret): string {
  return code.reveal().toUpperCase().replaceAll(/[\s-]/g, '').replaceAll('O', '0').replaceAll(/[IL]/g, '1')
}
