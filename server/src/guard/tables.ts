/** The tables of the schema `guard`; they never leave this room. */
export type GuardTables = {
  'guard.audit': { seq: number; hour: Date; sealed: Buffer; mac: Buffer }
  'guard.audit_head': { singleton: boolean; seq: number; mac: Buffer }
}
