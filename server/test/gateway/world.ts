import { createPrivateKey, randomUUID, sign } from 'node:crypto'
import { expect, vi } from 'vitest'
import {
  type AccountId,
  type Bus,
  type CommandId,
  type Database,
  type DeviceId,
  newId,
  Personal,
  Secret,
  silentLog,
  type TenureId,
} from '../../src/core/index.ts'
import {
  createGateway,
  type Gateway,
  type GatewayLimits,
  type GatewayStream,
  gatewayMigrations,
} from '../../src/gateway/index.ts'
import { createKeys, keysMigrations, memoryKeyProvider } from '../../src/keys/index.ts'
import {
  createRegistry,
  registryMigrations,
  type Tenure,
  type TenureChange,
} from '../../src/registry/index.ts'
import { createStream, openRecord, type StreamRecord, streamMigrations } from '../../src/stream/index.ts'
import { createTestDatabase } from '../support/database.ts'
import { RawClient, type RawClientOptions } from './raw-client.ts'

export interface TestDevice {
  deviceId: DeviceId
  password: string
  certificatePem: string
  privateKeyPem: string
  claimCode: Secret
  topic: (name: string) => string
}

export interface Stored {
  kind: string
  tenureId: TenureId
  payload: unknown
}

export type World = Awaited<ReturnType<typeof createWorld>>

/** The gateway on the real registry, stream and database, on free ports of loopback. */
export async function createWorld(
  o: {
    limits?: Partial<GatewayLimits>
    wrapStream?: (stream: GatewayStream) => GatewayStream
    bus?: (database: Database) => Promise<Bus>
  } = {},
) {
  const database = await createTestDatabase([
    keysMigrations,
    registryMigrations,
    streamMigrations,
    gatewayMigrations,
  ])
  const time = { offsetMs: 0 }
  const clock = { nowMs: () => Date.now() + time.offsetMs }
  const common = { database, clock, log: silentLog }
  const keys = createKeys({ ...common, provider: memoryKeyProvider() })
  await keys.start()
  const bus = await o.bus?.(database)
  let gateway: Gateway | undefined
  const registry = createRegistry({ ...common, keys, bus, isOnline: (id) => gateway?.isOnline(id) ?? false })
  await registry.start()
  const stream = createStream({ ...common, keys })
  await stream.start()
  const server = await registry.serverIdentity(['127.0.0.1', 'localhost'])
  const ready: [DeviceId, TenureId][] = []
  const delivered: CommandId[] = []
  /** Newest first. */
  const resendSecrets = [new Secret('a secret that outlives a restart')]
  const ports = { tls: 0, plain: 0 }
  let heard: (change: TenureChange) => void = () => {}

  async function startGateway(limits: Partial<GatewayLimits> = o.limits ?? {}): Promise<Gateway> {
    gateway = createGateway({
      ...common,
      bus,
      registry: {
        ...registry,
        async verifyDevicePassword(deviceId, password) {
          const identity = await registry.verifyDevicePassword(deviceId, password)
          await world.beforeAuthentication()
          return identity
        },
        onTenureChange(listener) {
          heard = listener
          return registry.onTenureChange(listener)
        },
      },
      stream: o.wrapStream?.(stream) ?? stream,
      resendSecret: resendSecrets[0] as Secret,
      formerResendSecrets: resendSecrets.slice(1),
      tls: { host: '127.0.0.1', port: 0, ...server, authorityPem: registry.authorityCertificate() },
      plain: { host: '127.0.0.1', port: 0 },
      limits,
      onDeviceReady: (deviceId, tenureId) => ready.push([deviceId, tenureId]),
      onCommandDelivered: (commandId) => delivered.push(commandId),
    })
    const { tlsPort, plainPort } = await gateway.start()
    ports.tls = tlsPort as number
    ports.plain = plainPort as number
    return gateway
  }
  await startGateway()
  const model = await registry.addModel({
    name: 'test-plug',
    title: 'Plug',
    vendor: 'Test',
    deviceType: 'OnOffPlugInUnit',
    clusters: ['Switch'],
    claimPolicy: 'possession',
  })
  const accountId = newId<AccountId>()
  const household = await registry.createHousehold(accountId, { name: new Personal('Home') })

  const world = {
    database,
    registry,
    stream,
    keys,
    time,
    ports,
    ready,
    delivered,
    startGateway,
    resendSecrets,
    /** Holds up each authentication by password after it was read who it is. */
    beforeAuthentication: async (): Promise<void> => {},
    model,
    get gateway(): Gateway {
      return gateway as Gateway
    },
    async provision(count = 1): Promise<TestDevice[]> {
      const devices = await registry.provision({ modelId: model.id, count }, { withPassword: true })
      return devices.map((device) => ({
        deviceId: device.deviceId,
        password: device.password?.reveal() ?? '',
        certificatePem: device.certificatePem,
        privateKeyPem: device.privateKeyPem?.reveal() ?? '',
        claimCode: device.claimCode,
        topic: (name) => `hearth/1/${device.deviceId}/${name}`,
      }))
    },
    async device(): Promise<TestDevice> {
      return (await world.provision())[0] as TestDevice
    },
    /** A raw connection without TLS, nothing sent yet. */
    connect: (options: Partial<RawClientOptions> = {}) =>
      RawClient.open({ port: ports.plain, version: 5, ...options }),
    /** Connected with its password, CONNACK seen. */
    async session(device: TestDevice, options: Partial<RawClientOptions> = {}): Promise<RawClient> {
      const client = await world.connect(options)
      client.connectAs(device)
      const connack = await client.next('connack')
      if ((connack.reasonCode ?? connack.returnCode) !== 0) throw new Error('the test device was refused')
      return client
    },
    /** Another claim needs the device's word that it was reset. */
    async claim(device: TestDevice): Promise<Tenure> {
      await registry.recordReset({ deviceId: device.deviceId, tenure: undefined, messageId: randomUUID() })
      return registry.claim({ accountId, householdId: household.householdId, code: device.claimCode })
    },
    accountId,
    /** Ends the device's tenure as another node would: this one hears of it, or does not. */
    async endTenure(device: TestDevice, tell = true): Promise<void> {
      await database.pool.query(
        `update registry.tenure set ended_hour = date_trunc('hour', now()) where device_id = $1 and ended_hour is null`,
        [device.deviceId],
      )
      if (tell) heard({ deviceId: device.deviceId, tenure: undefined })
    },
    /** A device in a household, with no session open, and recorded as having been online and gone. */
    async held(): Promise<TestDevice & { tenure: Tenure }> {
      const device = await world.device()
      const client = await world.session(device)
      const tenure = await world.claim(device)
      await vi.waitFor(async () => expect(await world.availability(device)).toHaveLength(1))
      client.socket.destroy()
      await vi.waitFor(async () => expect(await world.availability(device)).toHaveLength(2))
      return { ...device, tenure }
    },
    /** What the stream holds of a device in its present tenure, or another one, opened, in order. */
    async stored(device: TestDevice, of?: Tenure): Promise<Stored[]> {
      const { rows } = await database.pool.query(
        `select seq, record_id as "recordId", kind, device_id as "deviceId", tenure_id as "tenureId", sealed
         from stream.record where device_id = $1 order by seq`,
        [device.deviceId],
      )
      const kinds = ['', 'attributes', 'events', 'results', 'availability'] as const
      const tenure = of ?? (await registry.currentTenure(device.deviceId))
      if (!tenure) return []
      const key = await keys.open(tenure.keyId)
      return rows
        .filter((row) => row.tenureId === tenure.tenureId)
        .map((row) => {
          const record = { ...row, kind: kinds[row.kind as number], slots: [] } as StreamRecord
          return {
            kind: record.kind,
            tenureId: record.tenureId,
            payload: JSON.parse(openRecord(key, record).payload.toString()),
          }
        })
    },
    /** Without what the gateway itself records. */
    async published(device: TestDevice): Promise<unknown[]> {
      return (await world.stored(device)).filter((r) => r.kind !== 'availability').map((r) => r.payload)
    },
    async availability(device: TestDevice): Promise<unknown[]> {
      return (await world.stored(device)).filter((r) => r.kind === 'availability').map((r) => r.payload)
    },
    async close() {
      await gateway?.close()
      await stream.close()
      await registry.close()
      await keys.close()
      await database.drop()
    },
  }
  return world
}

/** A JWT signed by the device's own key (ES256). */
export function tokenOf(
  device: Pick<TestDevice, 'deviceId' | 'privateKeyPem'>,
  subject: string = device.deviceId,
  ageSeconds = 0,
): string {
  const iat = Math.floor(Date.now() / 1000) - ageSeconds
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${part({ alg: 'ES256', typ: 'JWT' })}.${part({ aud: 'hearthlock', sub: subject, iat, exp: iat + 600 })}`
  const key = createPrivateKey(device.privateKeyPem)
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}
