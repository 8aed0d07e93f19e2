import { createHmac, hkdfSync } from 'node:crypto'

export const KEY_BYTES = 32
const NO_SALT = Buffer.alloc(0)

/** Independent subkeys of a random 256-bit key, one for each use: HKDF-SHA256 (RFC 5869) without salt. */
export function subkeys(key: Buffer, info: string, count: number): Buffer[] {
  const bytes = Buffer.from(hkdfSync('sha256', key, NO_SALT, info, KEY_BYTES * count))
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * KEY_BYTES, (i + 1) * KEY_BYTES))
}

export function hmac(key: Buffer, value: string | Buffer): Buffer {
  return createHmac('sha256', key).update(value).digest()
}
