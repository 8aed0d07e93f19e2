import { byteaArray, smallintArray, timeArray, uuidArray } from '../core/index.ts'
import type { RecordKind, StreamRecord } from './face.ts'

/** How a kind stands in the table. Never renumber. */
export const kindCodes: Record<RecordKind, number> = { attributes: 1, events: 2, results: 3, availability: 4 }

/** A sealed record on its way to the table; `record.seq` is set when its batch is committed. */
export interface PendingRecord {
  record: StreamRecord
  recordIdBytes: Buffer
  deviceIdBytes: Buffer
  tenureIdBytes: Buffer
  receivedHourMs: number
  messageKey: Buffer | null
  sizeBytes: number
  settle: (error?: Error) => void
}

/** The columns of `insertBatch` in its order, each as one binary array. */
export function encodeColumns(batch: readonly PendingRecord[]): Buffer[] {
  return [
    uuidArray(batch.map((one) => one.recordIdBytes)),
    smallintArray(batch.map((one) => kindCodes[one.record.kind])),
    uuidArray(batch.map((one) => one.deviceIdBytes)),
    uuidArray(batch.map((one) => one.tenureIdBytes)),
    timeArray(batch.map((one) => one.receivedHourMs)),
    byteaArray(batch.map((one) => joinSlots(one.record.slots))),
    byteaArray(batch.map((one) => one.messageKey)),
    byteaArray(batch.map((one) => one.record.sealed)),
  ]
}

function joinSlots(slots: readonly Buffer[]): Buffer {
  return slots.length === 1 ? (slots[0] as Buffer) : Buffer.concat(slots)
}

/**
 * One statement is one transaction and one round trip. Set-returning functions side by side in a select list run in
 * step and are not materialised, which makes this half the work of the same `unnest` in `from`, and of COPY.
 */
export const insertBatch = {
  name: 'stream-insert-batch',
  text: `
    with moved as (
      update stream.head set seq = seq + $1::int returning seq - $1::int as base
    ), stored as (
      insert into stream.record
        (seq, record_id, kind, device_id, tenure_id, received_hour, slots, message_key, sealed)
      select generate_series(base + 1, base + $1::int), unnest($2::uuid[]), unnest($3::smallint[]),
        unnest($4::uuid[]), unnest($5::uuid[]), unnest($6::timestamptz[]), unnest($7::bytea[]),
        unnest($8::bytea[]), unnest($9::bytea[])
      from moved
    )
    select base, case when $10::boolean then pg_notify('hearthlock_stream', $11 || ' ' || (base + $1::int)) end
    from moved`,
} as const
