import type { ColumnType } from 'kysely'
import type { CopyId, KeyId } from '../core/index.ts'
import type { CopyState } from './face.ts'

export interface CopyRow {
  copy_id: CopyId
  name: string
  key_id: KeyId
  state: CopyState
  terms: Buffer
  expires_hour: Date
  seq: number
  connection_seq: number
  batch: ColumnType<number, number | undefined, number>
  pending_seq: number | null
  pending_connection_seq: number | null
  problem: string | null
}

// A type, not an interface: Kysely wants an index signature.
export type InsightTables = {
  'insight.copy': CopyRow
  'insight.copy_tenure': { copy_id: CopyId; ref: Buffer; sealed: Buffer }
  'insight.ledger': { copy_id: CopyId; batch: number; hour: Date; settled_hour: Date | null; sealed: Buffer }
}
