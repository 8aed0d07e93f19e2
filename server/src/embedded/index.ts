export type { EmbeddedConnection } from './prepare.ts'
export {
  createEmbeddedPostgres,
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
} from './supervisor.ts'
