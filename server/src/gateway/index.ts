import type { Migrations } from '../core/index.ts'

export { availabilityFields } from './availability.ts'
export { type ConnectionLog, connectionCountFields, createConnectionLog } from './connection-log.ts'
export type {
  CommandDelivery,
  Gateway,
  GatewayOptions,
  GatewayRegistry,
  GatewayStream,
  TlsListenerOptions,
} from './face.ts'
export { createGateway } from './gateway.ts'
export type { GatewayLimits } from './limits.ts'
export { createReach, type Reach } from './reach.ts'

export const gatewayMigrations: Migrations = {
  room: 'gateway',
  folder: new URL('./migrations/', import.meta.url),
}
