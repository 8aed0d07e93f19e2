import type { AccountId, CommandId, DeviceId, KeyId, RecordId, TenureId } from '../core/index.ts'
import type { RecordKind } from '../stream/index.ts'
import type { CommandState } from './face.ts'

export interface CommandRow {
  command_id: CommandId
  seq: number
  tenure_id: TenureId
  device_id: DeviceId
  key_id: KeyId
  account_id: AccountId
  state: CommandState
  due_ms: number | null
  idempotency_key: Buffer | null
  request_digest: Buffer
  request: Buffer
  delivery: Buffer | null
  outcome: Buffer | null
}

export interface TimelineRow {
  tenure_id: TenureId
  seq: number
  record_id: RecordId
  kind: number
  sealed: Buffer
}

export interface StateRow extends TimelineRow {
  slot: Buffer
}

// A type, not an interface: Kysely wants an index signature.
export type HomeTables = {
  'home.command': CommandRow
  'home.timeline': TimelineRow
  'home.state': StateRow
  'home.destroyed_tenure': { tenure_id: TenureId; destroyed_hour: Date }
  'home.head': { single: boolean; seq: number }
}

/** How kinds are stored. A command's row is written by this room, the others are the stream's records. */
export const KIND_CODE: Record<RecordKind | 'command', number> = {
  attributes: 1,
  events: 2,
  results: 3,
  availability: 4,
  command: 5,
}

const KINDS = ['attributes', 'events', 'results', 'availability', 'command'] as const

export function kindOf(code: number): RecordKind | 'command' {
  return KINDS[code - 1] as RecordKind | 'command'
}
