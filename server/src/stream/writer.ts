import { AppError, type Clock, type DeviceId, idToBytes, type TenureId } from '../core/index.ts'
import type { SealingKey } from '../keys/index.ts'
import type { AppendRequest, StreamLimits, StreamRecord, StreamWriter } from './face.ts'
import type { PendingRecord } from './pending-record.ts'
import { sealRecord, slotOf } from './record.ts'
import type { NewRecordId } from './record-id.ts'

const HOUR_MS = 3_600_000
const MESSAGE_KEY_BYTES = 16
/** What a record holds beside its slots and its seal, roughly. */
const OVERHEAD_BYTES = 200
/** A device sends the same few paths again and again; a model has no more than this many. */
const REMEMBERED_SLOTS = 512

export function createWriter(o: {
  tenure: { tenureId: TenureId; deviceId: DeviceId }
  key: SealingKey
  clock: Clock
  limits: StreamLimits
  newRecordId: () => NewRecordId
  add: (pending: PendingRecord) => void
}): StreamWriter {
  const { clock, limits, newRecordId, add } = o
  const { tenureId, deviceId } = o.tenure
  const tenureIdBytes = idToBytes(tenureId)
  const deviceIdBytes = idToBytes(deviceId)
  const slots = new Map<string, Buffer>()
  let key: SealingKey | undefined = o.key

  function rememberedSlot(sealing: SealingKey, path: string): Buffer {
    const remembered = slots.get(path)
    if (remembered) return remembered
    const slot = slotOf(sealing, path)
    if (slots.size >= REMEMBERED_SLOTS) slots.clear()
    slots.set(path, slot)
    return slot
  }

  function prepare(request: AppendRequest, settle: PendingRecord['settle']): PendingRecord {
    const { kind, payload, paths, messageKey = null } = request
    if (!key) throw new AppError('stale_tenure')
    if (payload.length > limits.maxPayloadBytes || paths.length > limits.maxPaths)
      throw new AppError('too_large')
    if (messageKey && messageKey.length !== MESSAGE_KEY_BYTES)
      throw new AppError('invalid_request', { detail: 'a message key has 16 bytes' })
    const sealing = key
    const nowMs = clock.nowMs()
    const { recordId, bytes: recordIdBytes } = newRecordId()
    const identity = { recordId, tenureId, deviceId, kind }
    const sealed = sealRecord(sealing, identity, nowMs, payload)
    const record: StreamRecord = {
      seq: 0,
      ...identity,
      slots: paths.map((path) => rememberedSlot(sealing, path)),
      sealed,
    }
    return {
      record,
      recordIdBytes,
      deviceIdBytes,
      tenureIdBytes,
      receivedHourMs: nowMs - (nowMs % HOUR_MS),
      messageKey,
      sizeBytes: OVERHEAD_BYTES + 16 * paths.length + sealed.length,
      settle,
    }
  }

  return {
    append(request) {
      return new Promise((resolve, reject) => {
        add(prepare(request, (error) => (error ? reject(error) : resolve())))
      })
    },
    close() {
      key = undefined
      slots.clear()
    },
  }
}
