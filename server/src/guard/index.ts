import type { Migrations } from '../core/index.ts'

export type { Affected, AffectedList, AffectedPerson } from './affected-face.ts'
export { anchorFile } from './anchor-file.ts'
export type { Audit, AuditAnchor, AuditEntry, AuditProblem, AuditVerdict } from './audit-face.ts'
export type { Canaries, Sighting } from './canaries.ts'
export { createExposures, type ExposureParts, type Exposures } from './exposures.ts'
export type { Finding, FindingId, FindingKind, FindingState, Findings } from './finding-face.ts'
export { findingKinds } from './finding-face.ts'
export { nextSteps, whatWasFound } from './finding-text.ts'
export { createGuard, type Guard, type GuardOptions } from './guard.ts'
export type { Feeds } from './inventory.ts'
export type { Notice, NoticeParts, Notices } from './notice-face.ts'
export { lookAtDoors } from './own/listening.ts'
export { lookAtPostgresSocket } from './own/postgres-socket.ts'
export { lookAtFiles } from './own/readable-files.ts'
export { type RegulatorReport, type ReportKind, reportKinds, reportMarkdown } from './regulator-report.ts'
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
export type { WatchedStore } from './watch.ts'
export type { Observed, Watched } from './watched.ts'
export { webhookKey } from './webhook-signature.ts'

export const guardMigrations: Migrations = {
  room: 'guard',
  folder: new URL('./migrations/', import.meta.url),
}
