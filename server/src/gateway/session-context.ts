import type { Clock, Lease, Log } from '../core/index.ts'
import type { Connection } from './connection.ts'
import type { GatewayOptions, GatewayRegistry, GatewayStream } from './face.ts'
import type { GatewayLimits } from './limits.ts'
import type { Counters } from './stats.ts'

/** What all sessions share. */
export interface SessionContext {
  limits: GatewayLimits
  stream: GatewayStream
  registry: Pick<GatewayRegistry, 'recordReset' | 'isResetKnown' | 'isRotationDue' | 'rotateCredential'>
  clock: Clock
  log: Log
  counters: Counters
  lease: Pick<Lease, 'holds'>
  /** Those that wait for the stream to drain. */
  congested: Set<Connection>
  connections: GatewayOptions['connections']
  onDeviceReady: GatewayOptions['onDeviceReady']
  onCommandDelivered: GatewayOptions['onCommandDelivered']
}
