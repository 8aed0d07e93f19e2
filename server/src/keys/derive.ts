import { createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'

export const KEY_BYTES = 32
const NO_SALT = Buffer.alloc(0)

/**
 * Independent subkeys of a random 256-bit key, one for each use: HKDF-SHA256 (RFC 5869) without salt.
 *
 * As `KeyObject`s, for two reasons: their bytes live outside the JavaScript heap, and Node clears them when the
 * last reference is gone; and Node 24 takes them four times as fast as it takes the same key in a Buffer.
 */
export function subkeys(key: Buffer, info: string, count: number): KeyObject[] {
  const bytes = Buffer.from(hkdfSync('sha256', key, NO_SALT, info, KEY_BYTES * count))
  return Array.from({ length: count }, (_, i) => takeKey(bytes.subarray(i * KEY_BYTES, (i + 1) * KEY_BYTES)))
}

/** Takes the bytes of a key over, and wipes them. */
export function takeKey(bytes: Buffer): KeyObject {
  const key = createSecretKey(bytes)
  bytes.fill(0)
  return key
}

export function hmac(key: KeyObject, value: string | Buffer): Buffer {
  return createHmac('sha256', key).update(value).digest()
}
