import { randomUUID } from 'node:crypto'
import { expect, vi } from 'vitest'
import { type AccountId, type HouseholdId, newId, Personal, Secret, silentLog } from '../../src/core/index.ts'
import {
  type AskAsStranger,
  type ConnectionCount,
  createInsight,
  type Insight,
  insightMigrations,
  type NewCopy,
} from '../../src/insight/index.ts'
import { createKeys, keysMigrations, memoryKeyProvider } from '../../src/keys/index.ts'
import { fieldCatalogue } from '../../src/main/catalogue.ts'
import {
  createRegistry,
  type Model,
  type ModelDefinition,
  registryMigrations,
  type Tenure,
} from '../../src/registry/index.ts'
import { createStream, type RecordKind, streamMigrations } from '../../src/stream/index.ts'
import { createTestDatabase } from '../support/database.ts'
import type { TlsPostgres } from '../support/tls-postgres.ts'

export const LOCK: ModelDefinition = {
  name: 'test-lock',
  title: 'Test Lock',
  vendor: 'Tests',
  deviceType: 'DoorLock',
  clusters: ['PowerSource', 'WiFiNetworkDiagnostics', 'BasicInformation'],
  firmware: '1.0.0',
  claimPolicy: 'possession',
}

export const FIELDS = [
  'device.pseudonym',
  'device.model',
  'device.firmware',
  'device.activated',
  'device.active',
  'device.online',
  'command.status',
  'connection.outcome',
  'PowerSource.BatPercentRemaining',
  'PowerSource.BatChargeLevel',
  'WiFiNetworkDiagnostics.Rssi',
]

export const OPERATOR = newId<AccountId>()

export interface Device {
  tenure: Tenure
}

export type World = Awaited<ReturnType<typeof createWorld>>

/** Real database, keys, registry and stream; what the gateway counted is a list. */
export async function createWorld(o: { ask?: AskAsStranger; directory?: string; maxDays?: number } = {}) {
  const database = await createTestDatabase([
    keysMigrations,
    registryMigrations,
    streamMigrations,
    insightMigrations,
  ])
  const clock = { ms: Date.now(), nowMs: () => clock.ms }
  const log = silentLog
  const provider = memoryKeyProvider()
  const keys = createKeys({ provider, database, clock, log })
  await keys.start()
  const registry = createRegistry({ database, keys, clock, log, isOnline: () => true })
  await registry.start()
  const model = await registry.addModel(LOCK)
  const stream = createStream({ database, keys, clock, log })
  await stream.start()
  const counted: ConnectionCount[] = []
  const catalogue = await fieldCatalogue()

  const open = (over: Partial<Parameters<typeof createInsight>[0]> = {}): Insight =>
    createInsight({
      database,
      keys,
      registry,
      stream,
      connections: {
        after: async (seq, limit) => counted.filter((each) => each.seq > seq).slice(0, limit),
        head: async () => counted.at(-1)?.seq ?? 0,
        firmware: async () => new Map(),
      },
      catalogue: async () => catalogue,
      clock,
      log,
      maxDays: o.maxDays ?? 90,
      directory: o.directory,
      ask: o.ask ?? (async () => 'protected'),
      ...over,
    })

  const world = {
    database,
    keys,
    provider,
    clock,
    registry,
    stream,
    counted,
    model,
    open,
    insight: open(),

    async device(of: Model = model): Promise<Device> {
      const accountId = newId<AccountId>()
      const { householdId }: { householdId: HouseholdId } = await registry.createHousehold(accountId, {
        name: new Personal('Home'),
      })
      const [made] = await registry.provision({ modelId: of.id, count: 1 })
      if (!made) throw new Error('nothing was provisioned')
      await registry.recordReset({ deviceId: made.deviceId, tenure: undefined, messageId: randomUUID() })
      return { tenure: await registry.claim({ accountId, householdId, code: made.claimCode }) }
    },

    async append({ tenure }: Device, kind: RecordKind, payload: object): Promise<void> {
      const writer = await stream.writer(tenure)
      await writer.append({ kind, payload: Buffer.from(JSON.stringify(payload)), paths: [] })
      writer.close()
    },

    wish(change: Partial<NewCopy> = {}): NewCopy {
      return {
        owner: newId<AccountId>(),
        name: 'quality',
        purpose: new Personal('how well locks work'),
        fields: FIELDS,
        grain: 'hour',
        expiresSeconds: 14 * 86_400,
        to: 'file',
        minGroup: 1,
        from: 'beginning',
        ...change,
      }
    },

    async until(holds: () => Promise<boolean>): Promise<void> {
      await vi.waitFor(async () => expect(await holds()).toBe(true), { timeout: 10_000, interval: 20 })
    },

    async close() {
      await world.insight.close()
      await stream.close()
      await registry.close()
      await keys.close()
      await database.drop()
    },
  }
  return world
}

export function toPostgres({ port, password, authorityPem }: TlsPostgres): Partial<NewCopy> {
  return {
    to: `postgres://postgres@127.0.0.1:${port}/postgres`,
    password: new Secret(password),
    authorityPem,
  }
}
