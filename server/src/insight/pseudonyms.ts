import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { Secret, type TenureId } from '../core/index.ts'
import type { SealingKey } from '../keys/index.ts'

const SIZE_BYTES = 16
/** The rest is the tag: one in 2^48 that somebody makes up is taken for the copy's. */
const NAME_BYTES = 10

/**
 * Recognises a copy's pseudonyms, and says nothing of whose they are. It outlives the copy's key: what was copied before the
 * burning may be tried after it.
 */
export function newRecognition(): Secret {
  return new Secret(randomBytes(32).toString('base64url'))
}

/**
 * The tenure's name in the rows of one copy, and nowhere else: without the copy's key nobody can make it again. Every one is a
 * canary (docs/decisions/0009).
 */
export function pseudonymOf(key: SealingKey, tenureId: TenureId, recognition: Secret | undefined): string {
  const digest = key.digest(`device:${tenureId}`)
  // A copy that was made before pseudonyms could be recognised keeps those that it has.
  if (!recognition) return digest.subarray(0, SIZE_BYTES).toString('base64url')
  const name = digest.subarray(0, NAME_BYTES)
  return Buffer.concat([name, tagOf(recognition, name)]).toString('base64url')
}

export function isPseudonymOf(recognition: Secret, text: string): boolean {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.length !== SIZE_BYTES || bytes.toString('base64url') !== text) return false
  return timingSafeEqual(bytes.subarray(NAME_BYTES), tagOf(recognition, bytes.subarray(0, NAME_BYTES)))
}

function tagOf(recognition: Secret, name: Buffer): Buffer {
  const mac = createHmac('sha256', recognition.reveal()).update(name).digest()
  return mac.subarray(0, SIZE_BYTES - NAME_BYTES)
}
