import type { Clock, Database, DeviceId, Log } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { Registry } from './face.ts'

export interface RegistryOptions {
  database: Database
  keys: Keys
  clock: Clock
  log: Log
  /** A claim needs the device in hand and switched on. */
  isOnline: (deviceId: DeviceId) => boolean
}

export function createRegistry(_options: RegistryOptions): Registry {
  throw new Error('not built yet')
}
