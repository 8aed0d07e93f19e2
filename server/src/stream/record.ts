import { place, type SealingKey } from '../keys/index.ts'
import type { StreamRecord } from './face.ts'

/**
 * The sealed part: one byte that says how many bytes of padding end it, seven bytes of the time of receipt
 * (milliseconds since the epoch, big-endian), the payload, the padding.
 */
const HEAD_BYTES = 8
/** Sizes are told in steps of this, or "Locked" and "Unlocked" could be told apart in a copy. */
const STEP_BYTES = 64
export const SLOT_BYTES = 16

type Identity = Pick<StreamRecord, 'recordId' | 'tenureId' | 'deviceId' | 'kind'>

function placeOf(r: Identity): string {
  return place('stream.record', r.recordId, r.tenureId, r.deviceId, r.kind)
}

export function sealRecord(key: SealingKey, r: Identity, receivedAtMs: number, payload: Buffer): Buffer {
  const end = HEAD_BYTES + payload.length
  const padding = (STEP_BYTES - (end % STEP_BYTES)) % STEP_BYTES
  const plain = Buffer.allocUnsafe(end + padding)
  plain.writeUInt32BE(Math.floor(receivedAtMs / 2 ** 32), 0)
  plain.writeUInt32BE(receivedAtMs % 2 ** 32, 4)
  plain[0] = padding
  payload.copy(plain, HEAD_BYTES)
  plain.fill(0, end)
  return key.seal(placeOf(r), plain)
}

/**
 * Opens a record's content: the JSON bytes as the device sent them, and when they were received.
 * @throws AppError integrity_failed when it was sealed for another record, device, tenure or kind
 */
export function openRecord(
  key: SealingKey,
  r: Identity & Pick<StreamRecord, 'sealed'>,
): { receivedAtMs: number; payload: Buffer } {
  const plain = key.unseal(placeOf(r), r.sealed)
  return {
    receivedAtMs: (plain.readUInt32BE(0) & 0xff_ffff) * 2 ** 32 + plain.readUInt32BE(4),
    payload: plain.subarray(HEAD_BYTES, plain.length - (plain[0] as number)),
  }
}

/** 16 bytes that name a path within one tenure, and tell a stranger nothing about which path it is. */
export function slotOf(key: SealingKey, path: string): Buffer {
  return key.digest(`slot:${path}`).subarray(0, SLOT_BYTES)
}
