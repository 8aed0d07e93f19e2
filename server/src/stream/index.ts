import type { Migrations } from '../core/index.ts'

export type {
  AfterCommit,
  AppendRequest,
  Reader,
  RecordHandler,
  RecordKind,
  Stream,
  StreamLimits,
  StreamRecord,
  StreamWriter,
} from './face.ts'
export { streamRecordFields } from './face.ts'
export { openRecord, slotOf } from './record.ts'
export { createStream, type StreamDependencies } from './stream.ts'

export const streamMigrations: Migrations = {
  room: 'stream',
  folder: new URL('./migrations/', import.meta.url),
}
