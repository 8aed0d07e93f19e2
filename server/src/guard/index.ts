import type { Migrations } from '../core/index.ts'

export { anchorFile } from './anchor-file.ts'
export type { Audit, AuditAnchor, AuditEntry, AuditProblem, AuditVerdict } from './audit-face.ts'
export { createGuard, type Guard, type GuardOptions } from './guard.ts'
export { createReset } from './reset.ts'
export {
  type Reset,
  type ResetCounts,
  type ResetParts,
  type ResetRequest,
  type ResetScope,
  type ResetView,
  resetScopes,
} from './reset-face.ts'

export const guardMigrations: Migrations = {
  room: 'guard',
  folder: new URL('./migrations/', import.meta.url),
}
