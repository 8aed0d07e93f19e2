import { place, type SealingKey } from '../keys/index.ts'
import type { StreamRecord } from './face.ts'

/** The sealed part starts with the time of receipt: milliseconds since the epoch, 8 bytes, big-endian. */
const TIME_BYTES = 8
export const SLOT_BYTES = 16

type Identity = Pick<StreamRecord, 'recordId' | 'tenureId' | 'deviceId' | 'kind'>

function placeOf(r: Identity): string {
  return place('stream.record', r.recordId, r.tenureId, r.deviceId, r.kind)
}

export function sealRecord(key: SealingKey, r: Identity, receivedAtMs: number, payload: Buffer): Buffer {
  const plain = Buffer.allocUnsafe(TIME_BYTES + payload.length)
  plain.writeUInt32BE(Math.floor(receivedAtMs / 2 ** 32), 0)
  plain.writeUInt32BE(receivedAtMs % 2 ** 32, 4)
  payload.copy(plain, TIME_BYTES)
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
    receivedAtMs: plain.readUInt32BE(0) * 2 ** 32 + plain.readUInt32BE(4),
    payload: plain.subarray(TIME_BYTES),
  }
}

/** 16 bytes that name a path within one tenure, and tell a stranger nothing about which path it is. */
export function slotOf(key: SealingKey, path: string): Buffer {
  return key.digest(`slot:${path}`).subarray(0, SLOT_BYTES)
}
