import type { Tx } from './database.ts'
import type { AccountId } from './ids.ts'

/** Something that an operator, or the system by itself, did: one entry of the audit log. */
export interface Act {
  /** `system`: nobody asked for it at that moment. */
  actor: AccountId | 'system'
  /** Room and deed: `operators.roles_changed`. */
  act: string
  /** What it was done to: a kind (`operator`, `dispute`, `letter`) and an opaque id or a name of ours. */
  subject: { kind: string; id: string }
  /** What a reader needs to understand it. Sealed with the rest; still no credential, and nobody's personal data. */
  details?: Record<string, string | number | boolean | readonly string[]>
}

/** Writes an act into the audit log, in the transaction in which it is done: both are committed, or neither. */
export type RecordAct = (tx: Tx, act: Act) => Promise<void>

/** For a room that stands alone. */
export const recordNothing: RecordAct = async () => {}
