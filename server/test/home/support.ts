import { randomUUID } from 'node:crypto'
import { vi } from 'vitest'
import {
  type AccountId,
  type CommandId,
  type DeviceId,
  type HouseholdId,
  newId,
  Personal,
  type Secret,
  silentLog,
  type TenureId,
} from '../../src/core/index.ts'
import { createHome, type Home, homeMigrations } from '../../src/home/index.ts'
import { createKeys, type Keys, keysMigrations, memoryKeyProvider } from '../../src/keys/index.ts'
import {
  type Act,
  createRegistry,
  type ModelDefinition,
  type Registry,
  registryMigrations,
  type Tenure,
} from '../../src/registry/index.ts'
import { createStream, type RecordKind, type Stream, streamMigrations } from '../../src/stream/index.ts'
import { createTestDatabase } from '../support/database.ts'

/** LockDoor and ClearUser wait a minute for their device, everything else is refused while the device is away. */
const LOCK: ModelDefinition = {
  name: 'test-lock',
  title: 'Test Lock',
  vendor: 'Tests',
  deviceType: 'DoorLock',
  commands: {
    'DoorLock.LockDoor': { whenOffline: 'queue', expiresSeconds: 60 },
    'DoorLock.ClearUser': { whenOffline: 'queue', expiresSeconds: 60 },
    '*': { whenOffline: 'refuse', expiresSeconds: 10 },
  },
  claimPolicy: 'possession',
}

export interface Person {
  accountId: AccountId
  householdId: HouseholdId
}

export interface Device {
  deviceId: DeviceId
  code: Secret
  tenure: Tenure
}

export interface Sent {
  commandId: CommandId
  deviceId: DeviceId
  tenureId: TenureId
  message: { id: string; command: string; endpoint: number; arguments: unknown; expiresAt: string }
}

export type World = Awaited<ReturnType<typeof createWorld>>

/** Real database, keys, registry and stream; the device's socket is `sent` and `connected`. */
export async function createWorld(limits: Parameters<typeof createHome>[0]['limits'] = {}) {
  const database = await createTestDatabase([
    keysMigrations,
    registryMigrations,
    streamMigrations,
    homeMigrations,
  ])
  const clock = { ms: Date.now(), nowMs: () => clock.ms }
  const log = silentLog
  const keys = createKeys({ provider: memoryKeyProvider(), database, clock, log })
  await keys.start()
  const registry: Registry = createRegistry({ database, keys, clock, log, isOnline: () => true })
  await registry.start()
  const model = await registry.addModel(LOCK)

  const sent: Sent[] = []
  const connected = new Set<DeviceId>()
  const unsealed = new Map<string, number>()
  const countingKeys: Pick<Keys, 'open' | 'purpose'> = {
    purpose: keys.purpose,
    async open(id, tx) {
      const key = await keys.open(id, tx)
      return {
        seal: key.seal.bind(key),
        digest: key.digest.bind(key),
        unseal(place, sealed) {
          unsealed.set(id, (unsealed.get(id) ?? 0) + 1)
          return key.unseal(place, sealed)
        },
      }
    },
  }

  /** Runs before each authorization; may refuse it, or do what happens at the same moment. */
  const hooks: {
    authorize?: ((request: { act: Act }) => Promise<void>) | undefined
    /** After a device was found and its use allowed. */
    allowed?: (() => Promise<void>) | undefined
  } = {}
  const hookedRegistry: Registry = {
    ...registry,
    async authorize(request) {
      await hooks.authorize?.(request)
      return registry.authorize(request)
    },
    async device(accountId, deviceId, act = 'view') {
      if (act !== 'view') await hooks.authorize?.({ act })
      const device = await registry.device(accountId, deviceId, act)
      if (act !== 'view') await hooks.allowed?.()
      return device
    },
  }

  function open(): { stream: Stream; home: Home } {
    const stream = createStream({ database, keys, clock, log })
    const home = createHome({
      database,
      keys: countingKeys,
      registry: hookedRegistry,
      stream,
      clock,
      log,
      limits,
      deliver({ payload, ...to }) {
        if (!connected.has(to.deviceId)) return false
        sent.push({ ...to, message: JSON.parse(payload.toString()) })
        return true
      },
    })
    return { stream, home }
  }
  let running = open()
  await running.stream.start()
  await running.home.start()

  const world = {
    database,
    clock,
    keys,
    registry,
    model,
    sent,
    connected,
    unsealed,
    hooks,
    get home() {
      return running.home
    },
    get stream() {
      return running.stream
    },

    async person(): Promise<Person> {
      const accountId = newId<AccountId>()
      const { householdId } = await registry.createHousehold(accountId, { name: new Personal('Home') })
      return { accountId, householdId }
    },

    /** A device of this person's household, not connected. */
    async device(person: Person, nickname?: string): Promise<Device> {
      const [made] = await registry.provision({ modelId: model.id, count: 1 })
      if (!made) throw new Error('nothing was provisioned')
      return world.claim(person, made.deviceId, made.claimCode, nickname)
    },

    /** Another claim needs the device's word that it was reset. */
    async claim(person: Person, deviceId: DeviceId, code: Secret, nickname?: string): Promise<Device> {
      await registry.recordReset({ deviceId, tenure: undefined, messageId: randomUUID() })
      const tenure = await registry.claim({
        ...person,
        code,
        ...(nickname && { nickname: new Personal(nickname) }),
      })
      return { deviceId, code, tenure }
    },

    /** Ends the tenure as another node would: nothing is announced in this process. */
    async endTenure(device: Device): Promise<void> {
      await database.pool.query('update registry.tenure set ended_hour = started_hour where tenure_id = $1', [
        device.tenure.tenureId,
      ])
    },

    connect(device: Device) {
      connected.add(device.deviceId)
      running.home.deviceReady(device.deviceId, device.tenure.tenureId)
    },

    disconnect(device: Device) {
      connected.delete(device.deviceId)
    },

    acknowledge(device: Device, commandId: CommandId) {
      running.home.commandDelivered(commandId, device.deviceId, device.tenure.tenureId)
    },

    async append(device: Device, kind: RecordKind, payload: object): Promise<void> {
      const writer = await running.stream.writer(device.tenure)
      await writer.append({
        kind,
        payload: Buffer.from(JSON.stringify(payload)),
        paths: pathsOf(kind, payload),
      })
      writer.close()
    },

    /** Waits until the reader has applied everything that is in the stream. */
    async applied(): Promise<void> {
      await vi.waitFor(() => {
        const { stream_head: head, stream_reader_home_lag: lag } = running.stream.stats()
        if (head === undefined || lag !== 0) throw new Error('the reader is behind')
      })
    },

    async lock(person: Person, device: Device, more: object = {}) {
      const { accountId } = person
      const request = { accountId, deviceId: device.deviceId, command: 'DoorLock.LockDoor', arguments: {} }
      return running.home.requestCommand({ ...request, ...more })
    },

    async restart(): Promise<void> {
      await running.home.close()
      await running.stream.close()
      running = open()
      await running.stream.start()
      await running.home.start()
    },

    async leave(person: Person): Promise<void> {
      await database.pool.query('delete from registry.member where account_id = $1', [person.accountId])
    },

    async close(): Promise<void> {
      await running.home.close()
      await running.stream.close()
      await registry.close()
      await keys.close()
      await database.drop()
    },
  }

  function pathsOf(kind: RecordKind, payload: object): string[] {
    if (kind === 'availability') return ['$availability']
    if (kind === 'results') return []
    const checked = kind === 'attributes' ? model.checkAttributes(payload) : model.checkEvents(payload)
    if (!checked.ok) throw new Error(checked.reason)
    return checked.paths
  }

  return world
}
