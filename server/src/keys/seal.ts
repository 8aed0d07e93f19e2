import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'
import { AppError } from '../core/index.ts'
import { NONCE_BYTES, type Nonces } from './nonces.ts'

/**
 * A sealed value: [format = 1][u16 key version, big-endian][12-byte nonce][ciphertext][16-byte tag], AES-256-GCM
 * (NIST SP 800-38D). Associated data: format, key version, and the place in UTF-8.
 *
 * Nonces are random, 96 bits. SP 800-38D section 8.3 allows 2^32 seals with one key, at which the chance of any
 * repetition is still below 2^-32. A device that seals once a second reaches that after 136 years; keys of
 * households and people seal far less. Purpose keys belong to the whole installation and would reach it, so
 * they seal with a subkey for each place (purpose.ts), and the bound holds for each place by itself.
 */
const SEAL_FORMAT = 1
const HEADER_BYTES = 3
const TAG_BYTES = 16
export const SEAL_OVERHEAD_BYTES = HEADER_BYTES + NONCE_BYTES + TAG_BYTES
const ALGORITHM = 'aes-256-gcm'

/** @param version 1..65535 */
export function sealBytes(
  key: KeyObject,
  version: number,
  place: string,
  plain: Buffer | string,
  nonces: Nonces,
): Buffer {
  const nonce = nonces.next()
  const cipher = createCipheriv(ALGORITHM, key, nonce)
  cipher.setAAD(associatedData(version, place))
  const body = typeof plain === 'string' ? cipher.update(plain, 'utf8') : cipher.update(plain)
  cipher.final()
  const sealed = Buffer.allocUnsafe(SEAL_OVERHEAD_BYTES + body.length)
  sealed[0] = SEAL_FORMAT
  sealed[1] = version >>> 8
  sealed[2] = version & 0xff
  sealed.set(nonce, HEADER_BYTES)
  sealed.set(body, HEADER_BYTES + NONCE_BYTES)
  sealed.set(cipher.getAuthTag(), HEADER_BYTES + NONCE_BYTES + body.length)
  return sealed
}

/**
 * @param keyOf the key of a version, or undefined when there is none
 * @throws AppError integrity_failed, and nothing else, whatever the bytes are
 */
export function unsealBytes(
  keyOf: (version: number) => KeyObject | undefined,
  place: string,
  sealed: Buffer,
): Buffer {
  const version = sealedVersion(sealed)
  const key = version === undefined ? undefined : keyOf(version)
  if (version === undefined || key === undefined) throw new AppError('integrity_failed')
  const tagAt = sealed.length - TAG_BYTES
  try {
    const decipher = createDecipheriv(
      ALGORITHM,
      key,
      sealed.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES),
    )
    decipher.setAAD(associatedData(version, place))
    // Always the whole tag: GCM would take a shorter one, and forging that is easier.
    decipher.setAuthTag(sealed.subarray(tagAt))
    const plain = decipher.update(sealed.subarray(HEADER_BYTES + NONCE_BYTES, tagAt))
    decipher.final()
    return plain
  } catch {
    // No cause: which check failed, and how, would be an oracle for whoever can write into the store.
    throw new AppError('integrity_failed')
  }
}

/** The key version in the header; undefined when the bytes are no sealed value of this format. */
function sealedVersion(sealed: Buffer): number | undefined {
  if (!(sealed instanceof Uint8Array) || sealed.length < SEAL_OVERHEAD_BYTES) return undefined
  if (sealed[0] !== SEAL_FORMAT) return undefined
  return ((sealed[1] as number) << 8) | (sealed[2] as number)
}

function associatedData(version: number, place: string): Buffer {
  const size = Buffer.byteLength(place)
  const data = Buffer.allocUnsafe(HEADER_BYTES + size)
  data[0] = SEAL_FORMAT
  data[1] = version >>> 8
  data[2] = version & 0xff
  data.write(place, HEADER_BYTES, 'utf8')
  return data
}
