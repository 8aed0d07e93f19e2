import type {
  Bus,
  Caches,
  Clock,
  CommandId,
  Database,
  DeviceId,
  Log,
  PresentedInVain,
  Secret,
  TenureId,
} from '../core/index.ts'
import type { Registry } from '../registry/index.ts'
import type { Stream } from '../stream/index.ts'
import type { ConnectionLog } from './connection-log.ts'
import type { GatewayLimits } from './limits.ts'

/** What the gateway asks of the registry: who a device is, and in which tenure. */
export type GatewayRegistry = Pick<
  Registry,
  | 'verifyDeviceCertificate'
  | 'verifyDeviceToken'
  | 'verifyDevicePassword'
  | 'currentTenure'
  | 'formerTenures'
  | 'onTenureChange'
  | 'recordReset'
  | 'isResetKnown'
  | 'isRotationDue'
  | 'rotateCredential'
> & { resets: Pick<Registry['resets'], 'onReset'> }

/** What the gateway asks of the stream: durable appends, back-pressure, and what a tenure sent last. */
export type GatewayStream = Pick<Stream, 'writer' | 'recentMessageKeys' | 'congested' | 'onDrain'>

export interface GatewayOptions {
  registry: GatewayRegistry
  stream: GatewayStream
  database: Database
  clock: Clock
  log: Log
  /**
   * Keys the digests by which a resend is recognised. They stand in plain beside sealed records, and a payload such
   * as `{"OnOff.OnOff":true}` could be guessed from a digest without a key. Must be the same after a restart.
   */
  resendSecret: Secret
  /** Those of earlier root keys, newest first: what was stored by them is recognised still. */
  formerResendSecrets?: readonly Secret[] | undefined
  tls?: TlsListenerOptions | undefined
  /** Without TLS, for tokens and passwords only, on a loopback address only. */
  plain?: { host: string; port: number } | undefined
  limits?: Partial<GatewayLimits> | undefined
  /** Joins it to the other processes on the same database; without it there must be none. */
  bus?: Bus | undefined
  caches?: Caches | undefined
  /** Counts attempts to connect; nobody counts them without it. */
  connections?: ConnectionLog | undefined
  /** Told of credentials that were refused. */
  presentedInVain?: PresentedInVain | undefined
  /** The device has subscribed to its commands, in this tenure. */
  onDeviceReady: (deviceId: DeviceId, tenureId: TenureId) => void
  /** The device has acknowledged a command. */
  onCommandDelivered: (commandId: CommandId, deviceId: DeviceId, tenureId: TenureId) => void
}

export interface TlsListenerOptions {
  host: string
  port: number
  certificatePem: string
  privateKeyPem: Secret
  /** The device authority: one or more certificates. A client certificate must be signed by one of them. */
  authorityPem: string
}

export interface CommandDelivery {
  deviceId: DeviceId
  tenureId: TenureId
  commandId: CommandId
  /** JSON, as the device gets it. */
  payload: Buffer
}

/** The MQTT side: devices' connections, what they publish, and the commands that go down to them. */
export interface Gateway {
  /** @throws AppError start_refused when a port is taken, or the plain listener is not on loopback */
  start(): Promise<{ tlsPort?: number | undefined; plainPort?: number | undefined }>
  /** Lets pending publishes be acknowledged, tells MQTT 5 devices why (0x8B), and closes. */
  close(): Promise<void>
  isOnline(deviceId: DeviceId): boolean
  /** False when the device has no session in that tenure that is subscribed to commands, or its queue is full. */
  deliver(delivery: CommandDelivery): boolean
  /** Ends the device's connection as an administrative action. The reason reaches the device: no personal data. */
  disconnect(deviceId: DeviceId, reason: string): void
  stats(): Record<string, number>
}
