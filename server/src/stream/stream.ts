import { AppError, type Clock, type Database, type Log } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { Stream, StreamLimits } from './face.ts'

export interface StreamDependencies {
  database: Database
  keys: Pick<Keys, 'open'>
  clock: Clock
  log: Log
  limits?: Partial<StreamLimits> | undefined
}

export function createStream(_: StreamDependencies): Stream {
  throw new AppError('unavailable')
}
