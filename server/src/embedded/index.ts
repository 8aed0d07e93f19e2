export type { EmbeddedConnection } from './prepare.ts'
export { findRunningPostgres, type RunningPostgres } from './running.ts'
export {
  createEmbeddedPostgres,
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
} from './supervisor.ts'
