import { timingSafeEqual } from 'node:crypto'
import { AppError } from '../core/index.ts'
import type { PurposeKey } from '../keys/index.ts'
import type { Anchored } from './audit-face.ts'

const SEQ_BYTES = 8

/** Each entry's MAC covers its number, its sealed content and the MAC of the entry before it. */
export interface AuditChain {
  mac(before: Buffer, seq: number, sealed: Buffer): Buffer
  /** Under any version of the root key: the log outlives its rotations. */
  isRight(before: Buffer, entry: { seq: number; sealed: Buffer; mac: Buffer }): boolean
}

export function createAuditChain(key: PurposeKey): AuditChain {
  return {
    mac: (before, seq, sealed) => key.digest(covered(before, seq, sealed)),
    isRight(before, { seq, sealed, mac }) {
      return key.digests(covered(before, seq, sealed)).some((digest) => same(digest, mac))
    },
  }
}

/** The first two parts have one length each, so that no two entries give the same bytes. */
function covered(before: Buffer, seq: number, sealed: Buffer): Buffer {
  const number = Buffer.alloc(SEQ_BYTES)
  number.writeBigUInt64BE(BigInt(seq))
  return Buffer.concat([before, number, sealed])
}

export function same(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

/** An entry's number and MAC in one word that can be written down: `17.mS3…`. */
export function toNote({ seq, mac }: Anchored): string {
  return `${seq}.${mac.toString('base64url')}`
}

/** @throws AppError invalid_request */
export function fromNote(note: string): Anchored {
  const [, seq = '', mac = ''] = /^(\d{1,15})\.([\w-]{43})$/.exec(note) ?? []
  if (seq === '') {
    throw new AppError('invalid_request', {
      message:
        'What was noted must be the word that a verification printed last: a number, a point, and 43 characters.',
    })
  }
  return { seq: Number(seq), mac: Buffer.from(mac, 'base64url') }
}
