import type { Generated } from 'kysely'

/** The tables of the schema `guard`; they never leave this room. */
export type GuardTables = {
  'guard.audit': { seq: number; hour: Date; sealed: Buffer; mac: Buffer }
  'guard.audit_head': { singleton: boolean; seq: number; mac: Buffer }
  'guard.store': { store_id: string; address_digest: Buffer; sealed: Buffer }
  'guard.verdict': { store_key: string; sealed: Buffer }
  'guard.watch': {
    singleton: boolean
    holder: string | null
    until: Date | null
    round_at: Date | null
  }
  'guard.finding': {
    finding_id: Generated<number>
    store_key: string
    kind: string
    state: 'open' | 'shut' | 'closed'
    sealed: Buffer
    webhook_due: Date | null
    mail_due: Date | null
  }
  'guard.webhook': { call_id: string; due: Date; attempts: Generated<number>; sealed: Buffer }
}
