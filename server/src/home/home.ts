import { AppError, type Clock, type Database, type DeviceId, type Log } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { Registry } from '../registry/index.ts'
import type { Stream } from '../stream/index.ts'
import type { Deliver, Home } from './face.ts'

export interface HomeLimits {
  /** Commands per device that have not ended. */
  openCommands: number
  /** Updates that wait for one slow watcher. */
  watcherQueue: number
  /** A watcher's right is checked again at this interval, and not relied on after three of them. */
  watcherCheckMs: number
}

export interface HomeDependencies {
  database: Database
  keys: Pick<Keys, 'open' | 'purpose'>
  registry: Pick<Registry, 'authorize' | 'device' | 'devices' | 'household' | 'onTenureChange'>
  stream: Pick<Stream, 'reader'>
  clock: Clock
  log: Log
  deliver: Deliver
  /** Spares a command row when the device is known to be away; `deliver` decides in any case. */
  isOnline?: ((deviceId: DeviceId) => boolean) | undefined
  limits?: Partial<HomeLimits> | undefined
}

export function createHome(_: HomeDependencies): Home {
  throw new AppError('unavailable')
}
