import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import {
  type AccountId,
  type Bus,
  type DeviceId,
  newId,
  Personal,
  Secret,
  silentLog,
} from '../../src/core/index.ts'
import { createKeys, keysMigrations, memoryKeyProvider } from '../../src/keys/index.ts'
import {
  createRegistry,
  type Household,
  type ModelDefinition,
  type ProvisionedDevice,
  type Registry,
  registryMigrations,
} from '../../src/registry/index.ts'
import { createTestDatabase } from '../support/database.ts'

export const START_MS = Date.parse('2026-03-01T12:34:56Z')

export function definition(name: string): ModelDefinition {
  return JSON.parse(readFileSync(new URL(`../../models/${name}.json`, import.meta.url), 'utf8'))
}

export type World = Awaited<ReturnType<typeof createWorld>>

/** A registry over a fresh database, with a clock to move and devices to switch on. */
export async function createWorld() {
  const database = await createTestDatabase([keysMigrations, registryMigrations])
  const time = { nowMs: START_MS }
  const clock = { nowMs: () => time.nowMs }
  const provider = memoryKeyProvider()
  const online = new Set<DeviceId>()
  const isOnline = (id: DeviceId) => online.has(id)

  /** As another process on the same database and root key would. */
  async function anotherRegistry(bus?: Bus): Promise<Registry> {
    const keys = createKeys({ provider, database, clock, log: silentLog })
    await keys.start()
    return createRegistry({ database, keys, clock, log: silentLog, isOnline, bus })
  }

  const registry = await anotherRegistry()
  await registry.start()

  return {
    database,
    provider,
    registry,
    online,
    time,
    anotherRegistry,
    async provisionOne(model: string, withPassword = false): Promise<ProvisionedDevice> {
      const { id } = await registry.addModel(definition(model))
      const [device] = await registry.provision({ modelId: id, count: 1 }, { withPassword })
      return device as ProvisionedDevice
    },
    /**
     * The device says that it was physically reset, in the tenure that it is in. Where its model demands it, it shows a new
     * claim code from now on.
     */
    async reset(
      device: { deviceId: DeviceId; claimCode?: Secret },
      messageId: string = randomUUID(),
    ): Promise<void> {
      const { deviceId } = device
      const { rows } = await database.pool.query(
        "select definition ->> 'reset' as reset from registry.device join registry.model using (model_id) where device_id = $1",
        [deviceId],
      )
      const claimCode = rows[0].reset === 'fresh-code' ? freshCode() : undefined
      const tenure = await registry.currentTenure(deviceId)
      await registry.recordReset({ deviceId, messageId, tenure, claimCode })
      if (claimCode) device.claimCode = claimCode
    },
    /** An account with a household of its own. */
    async settle(name = 'Home'): Promise<{ accountId: AccountId; household: Household }> {
      const accountId = newId<AccountId>()
      return { accountId, household: await registry.createHousehold(accountId, { name: new Personal(name) }) }
    },
    async close() {
      await registry.close()
      await database.drop()
    },
  }
}

/** As a device makes one at a reset: 100 bits. */
export function freshCode(): Secret {
  const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
  return new Secret(Array.from(randomBytes(20), (byte) => alphabet[byte % 32]).join(''))
}

/** The code of the AppError that the work throws; undefined when it does not. */
export async function refusal(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    return (error as { code?: string }).code ?? 'not an AppError'
  }
}
