import { createPrivateKey, type KeyObject } from 'node:crypto'
import type { Pattern } from '../search/encodings.ts'

/** How private keys begin, in the forms in which programs keep them. */
const BEGINNINGS: [string, Buffer][] = [
  ['PEM', Buffer.from('PRIVATE KEY-----')],
  // RFC 5958 and RFC 5915, up to where the key's own bytes begin.
  ['PKCS#8, P-256', Buffer.from('020100301306072a8648ce3d020106082a8648ce3d030107', 'hex')],
  ['PKCS#8, Ed25519', Buffer.from('020100300506032b657004220420', 'hex')],
  ['PKCS#8, X25519', Buffer.from('020100300506032b656e04220420', 'hex')],
  ['PKCS#8, RSA', Buffer.from('020100300d06092a864886f70d010101', 'hex')],
  ['SEC 1, P-256', Buffer.from('30770201010420', 'hex')],
  ['OpenSSH', Buffer.from('openssh-key-v1')],
  ['age', Buffer.from('AGE-SECRET-KEY-1')],
  ['JWK', Buffer.from('"kty":"')],
]

/** As they are, and as base64 within a larger value. */
export const keyBeginnings: readonly Pattern[] = BEGINNINGS.flatMap(([encoding, bytes]) => [
  { encoding, bytes, ignoreCase: false },
  { encoding: `${encoding}, hex`, bytes: Buffer.from(bytes.toString('hex')), ignoreCase: true },
  ...[0, 1, 2].map((alignment) => ({
    encoding: `${encoding}, base64`,
    bytes: Buffer.from(
      Buffer.concat([Buffer.alloc(alignment), bytes])
        .toString('base64')
        .slice(Math.ceil((alignment * 8) / 6), Math.floor(((alignment + bytes.length) * 8) / 6)),
    ),
    ignoreCase: false,
  })),
])

/**
 * The private keys that can be read out of the bytes around such a beginning. A beginning alone says nothing: programs,
 * and this one, have the words in them.
 */
export function privateKeysIn(around: Buffer): KeyObject[] {
  const keys: KeyObject[] = []
  const text = around.toString('latin1')
  for (const [pem] of text.matchAll(
    /-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----[\sA-Za-z0-9+/=\\]+?-----END \1PRIVATE KEY-----/g,
  )) {
    keys.push(...opened({ key: pem.replaceAll(/\\r|\\n/g, '\n') }))
  }
  for (const [jwk] of text.matchAll(/\{[^{}]{0,4096}"kty"[^{}]{0,4096}\}/g)) keys.push(...openedJwk(jwk))
  // DER: a sequence with a two- or three-byte length somewhere before.
  for (let at = around.indexOf(0x30); at >= 0; at = around.indexOf(0x30, at + 1)) {
    const length = derLength(around, at)
    if (length === undefined || length < 40 || at + length > around.length) continue
    const key = around.subarray(at, at + length)
    keys.push(
      ...opened({ key, format: 'der', type: 'pkcs8' }),
      ...opened({ key, format: 'der', type: 'sec1' }),
    )
  }
  return keys
}

function opened(from: Parameters<typeof createPrivateKey>[0]): KeyObject[] {
  try {
    return [createPrivateKey(from)]
  } catch {
    return []
  }
}

function openedJwk(text: string): KeyObject[] {
  try {
    return opened({ key: JSON.parse(text), format: 'jwk' })
  } catch {
    return []
  }
}

function derLength(bytes: Buffer, at: number): number | undefined {
  const first = bytes[at + 1]
  if (first === undefined) return undefined
  if (first < 0x80) return first + 2
  if (first === 0x81) return (bytes[at + 2] ?? 0) + 3
  return first === 0x82 && at + 4 <= bytes.length ? bytes.readUInt16BE(at + 2) + 4 : undefined
}
