import { type Expression, type SqlBool, sql } from 'kysely'
import {
  AppError,
  type Database,
  type DeviceId,
  type RecordId,
  type TenureId,
  type Tx,
} from '../core/index.ts'
import type { RecordKind, StreamLimits, StreamRecord } from './face.ts'
import { kindCodes } from './pending-record.ts'
import { SLOT_BYTES } from './record.ts'

type StreamTables = {
  'stream.head': { seq: number }
  'stream.cursor': { name: string; seq: number }
  'stream.record': {
    seq: number
    record_id: RecordId
    kind: number
    device_id: DeviceId
    tenure_id: TenureId
    received_hour: Date
    slots: Buffer
    message_key: Buffer | null
    sealed: Buffer
  }
}

const kinds = new Map(Object.entries(kindCodes).map(([kind, code]) => [code, kind as RecordKind]))

/** Reads of the log, and the readers' places in it. */
export interface RecordTable {
  head(): Promise<number>
  /** What follows `position`, bounded by `readRecords` and `readBytes`, at least one record if there is any. */
  after(position: number): Promise<StreamRecord[]>
  recentMessageKeys(tenureId: TenureId, limit: number): Promise<Buffer[]>
  /** The reader's place; a new reader's is 0. */
  position(reader: string): Promise<number>
  /**
   * Moves the reader's place, and keeps it locked until `tx` ends.
   * @returns false when it is elsewhere, or another process has it
   */
  move(tx: Tx, reader: string, from: number, to: number): Promise<boolean>
}

export function createRecordTable(
  database: Database,
  limits: Pick<StreamLimits, 'readRecords' | 'readBytes'>,
): RecordTable {
  const queries = database.queries.withTables<StreamTables>()

  return {
    async head() {
      return (await queries.selectFrom('stream.head').select('seq').executeTakeFirstOrThrow()).seq
    },

    async after(position) {
      const rows = await queries
        .selectFrom((from) =>
          from
            .selectFrom('stream.record')
            .select(['seq', 'record_id', 'kind', 'device_id', 'tenure_id', 'slots', 'sealed'])
            .select(sql<number>`sum(octet_length(sealed)) over (order by seq)`.as('bytes'))
            .where('seq', '>', position)
            .orderBy('seq')
            .limit(limits.readRecords)
            .as('r'),
        )
        .selectAll()
        .where(sql`bytes <= ${limits.readBytes} or seq = ${position + 1}` as Expression<SqlBool>)
        .orderBy('seq')
        .execute()
      return rows.map((row, i) => {
        // Whoever moved the head inserted its records in the same transaction: a gap means a damaged table.
        if (row.seq !== position + 1 + i)
          throw new AppError('integrity_failed', {
            detail: `record ${position + 1 + i} of the stream is missing`,
          })
        const kind = kinds.get(row.kind)
        if (!kind) throw new AppError('database_newer', { detail: 'a record of an unknown kind' })
        return {
          seq: row.seq,
          recordId: row.record_id,
          kind,
          deviceId: row.device_id,
          tenureId: row.tenure_id,
          slots: splitSlots(row.slots),
          sealed: row.sealed,
        }
      })
    },

    async recentMessageKeys(tenureId, limit) {
      const rows = await queries
        .selectFrom('stream.record')
        .select('message_key')
        .where('tenure_id', '=', tenureId)
        .where('message_key', 'is not', null)
        .orderBy('seq', 'desc')
        .limit(limit)
        .$narrowType<{ message_key: Buffer }>()
        .execute()
      return rows.map((row) => row.message_key)
    },

    async position(reader) {
      await queries
        .insertInto('stream.cursor')
        .values({ name: reader, seq: 0 })
        .onConflict((conflict) => conflict.doNothing())
        .execute()
      const row = await queries
        .selectFrom('stream.cursor')
        .select('seq')
        .where('name', '=', reader)
        .executeTakeFirstOrThrow()
      return row.seq
    },

    async move(tx, reader, from, to) {
      const moved = await tx
        .withTables<StreamTables>()
        .updateTable('stream.cursor')
        .set({ seq: to })
        .where('name', '=', (locked) =>
          locked
            .selectFrom('stream.cursor')
            .select('name')
            .where('name', '=', reader)
            .where('seq', '=', from)
            .forUpdate()
            .skipLocked(),
        )
        // What a crash takes back, it takes back together with this place: the reader then does it again.
        .returning(sql`set_config('synchronous_commit', 'off', true)`.as('asynchronous'))
        .execute()
      return moved.length === 1
    },
  }
}

function splitSlots(joined: Buffer): Buffer[] {
  const slots: Buffer[] = []
  for (let at = 0; at < joined.length; at += SLOT_BYTES) slots.push(joined.subarray(at, at + SLOT_BYTES))
  return slots
}
