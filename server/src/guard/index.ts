import type { Migrations } from '../core/index.ts'

export { anchorFile } from './anchor-file.ts'
export type { Audit, AuditAnchor, AuditEntry, AuditProblem, AuditVerdict } from './audit-face.ts'
export { createGuard, type Guard, type GuardOptions } from './guard.ts'

export const guardMigrations: Migrations = {
  room: 'guard',
  folder: new URL('./migrations/', import.meta.url),
}
