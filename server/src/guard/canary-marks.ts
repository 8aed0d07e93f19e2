import { createHmac, timingSafeEqual } from 'node:crypto'
import { type DeviceId, idFromBytes, idToBytes, isId, Secret } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'

/** A mark holds the place in this list: append only. */
const STORES = ['database', 'files'] as const
export type MarkedStore = (typeof STORES)[number]

export interface Mark {
  store: MarkedStore
  /** When it was planted; whole days (UTC) count. */
  atMs: number
}

/**
 * Values that look like any other of their kind, and say to who has the root key from which store and day they are. Which are
 * canaries is written nowhere (docs/decisions/0009).
 */
export interface CanaryMarks {
  /** A UUID of version 4. @param which 0 to `DEVICES_A_DAY` - 1 */
  deviceId(mark: Mark, which: number): DeviceId
  /** As long as an access or refresh token. @param which 0 to 255 */
  token(mark: Mark, which: number): Secret
  /** As long as a device's password. */
  password(mark: Mark): Secret
  /** 16 characters of a claim code's alphabet, for whatever is typed. */
  code(mark: Mark): string
  recognise(text: string): Mark | undefined
  /** Every device id that can have been planted in these days, under any root key. */
  deviceIds(store: MarkedStore, o: { fromMs: number; toMs: number }): DeviceId[]
}

export const DEVICES_A_DAY = 16
const DAY_MS = 86_400_000
/** Store, day in two bytes, which of that day. */
const CONTENT_BYTES = 4
const TOKEN_BYTES = 32
const PASSWORD_BYTES = 24
const CODE_BYTES = 10
/** Of a UUID without the two bytes that carry version and variant. */
const ID_BYTES = 14
const MAX_LENGTH = 512
/** As in claim codes: Crockford's base 32. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

export function createCanaryMarks({ keys }: { keys: Pick<Keys, 'purpose'> }): CanaryMarks {
  const purpose = keys.purpose('guard.canary')
  const newest = () => purpose.deriveSecret('mark')

  const deviceId = (secret: Secret, mark: Mark, which: number): DeviceId => {
    const marked = write(secret, mark, which, ID_BYTES)
    // Computed like the rest: an id can be made again, to be left out of a count.
    const filler = hmac(secret, 'filler', marked)
    const version = Buffer.of(0x40 | ((filler[0] as number) & 0x0f))
    const variant = Buffer.of(0x80 | ((filler[1] as number) & 0x3f))
    const [start, middle, end] = [marked.subarray(0, 6), marked.subarray(6, 7), marked.subarray(7)]
    return idFromBytes(Buffer.concat([start, version, middle, variant, end]))
  }

  return {
    deviceId: (mark, which) => deviceId(newest(), mark, which),
    token: (mark, which) => new Secret(write(newest(), mark, which, TOKEN_BYTES).toString('base64url')),
    password: (mark) => new Secret(write(newest(), mark, 0, PASSWORD_BYTES).toString('base64url')),
    code: (mark) => toCode(write(newest(), mark, 0, CODE_BYTES)),

    recognise(text) {
      const marked = text.length <= MAX_LENGTH ? bytesOf(text.trim()) : undefined
      if (!marked) return undefined
      // All keys, whichever fits: the time says nothing.
      const marks = purpose.deriveSecrets('mark').map((secret) => read(secret, marked))
      return marks.find((mark) => mark !== undefined)
    },

    deviceIds(store, { fromMs, toMs }) {
      const ids: DeviceId[] = []
      for (const secret of purpose.deriveSecrets('mark'))
        for (let atMs = fromMs - (fromMs % DAY_MS); atMs <= toMs; atMs += DAY_MS)
          for (let which = 0; which < DEVICES_A_DAY; which++)
            ids.push(deviceId(secret, { store, atMs }, which))
      return ids
    },
  }
}

function write(secret: Secret, { store, atMs }: Mark, which: number, sizeBytes: number): Buffer {
  const content = Buffer.alloc(CONTENT_BYTES)
  content[0] = STORES.indexOf(store)
  content.writeUInt16BE(Math.floor(atMs / DAY_MS), 1)
  content[3] = which
  const tag = tagOf(secret, content, sizeBytes)
  return Buffer.concat([tag, xor(content, hmac(secret, 'mask', tag))])
}

function read(secret: Secret, marked: Buffer): Mark | undefined {
  const tag = marked.subarray(0, -CONTENT_BYTES)
  const content = xor(marked.subarray(-CONTENT_BYTES), hmac(secret, 'mask', tag))
  const store = STORES[content[0] as number]
  const isOurs = timingSafeEqual(tag, tagOf(secret, content, marked.length))
  return isOurs && store ? { store, atMs: content.readUInt16BE(1) * DAY_MS } : undefined
}

function tagOf(secret: Secret, content: Buffer, sizeBytes: number): Buffer {
  return hmac(secret, 'tag', Buffer.of(sizeBytes), content).subarray(0, sizeBytes - CONTENT_BYTES)
}

function hmac(secret: Secret, use: string, ...parts: Buffer[]): Buffer {
  const mac = createHmac('sha256', secret.reveal()).update(`${use}\0`)
  for (const part of parts) mac.update(part)
  return mac.digest()
}

function xor(content: Buffer, mask: Buffer): Buffer {
  return Buffer.from(content.map((byte, at) => byte ^ (mask[at] as number)))
}

/** What a value of one of these kinds stands for; undefined when it looks like none. */
function bytesOf(text: string): Buffer | undefined {
  const id = text.toLowerCase()
  if (isId(id)) {
    const bytes = idToBytes(id as DeviceId)
    return Buffer.concat([bytes.subarray(0, 6), bytes.subarray(7, 8), bytes.subarray(9)])
  }
  if (/^[\w-]{43}$/.test(text) || /^[\w-]{32}$/.test(text)) return Buffer.from(text, 'base64url')
  return bytesOfCode(text)
}

/** A claim code however it is typed, or the code within an address (`word-code@…`) or a host name (`word-code.…`). */
function bytesOfCode(text: string): Buffer | undefined {
  const typed = text.toUpperCase().replace(/^HEARTH:1:/, '')
  const name = (typed.split(/[@.:]/, 1)[0] as string).replace(/^[A-Z]+-(?=[^-]{16}$)/, '')
  const code = name.replace(/[-\s]/g, '').replace(/[IL]/g, '1').replaceAll('O', '0')
  if (code.length !== 16 || [...code].some((character) => !ALPHABET.includes(character))) return undefined
  let number = 0n
  for (const character of code) number = number * 32n + BigInt(ALPHABET.indexOf(character))
  return Buffer.from(number.toString(16).padStart(2 * CODE_BYTES, '0'), 'hex')
}

function toCode(bytes: Buffer): string {
  let number = BigInt(`0x${bytes.toString('hex')}`)
  let code = ''
  for (let at = 0; at < 16; at++, number /= 32n) code = ALPHABET.charAt(Number(number % 32n)) + code
  return code
}
