import type { MqttClient } from 'mqtt'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import {
  type AccountId,
  createCaches,
  type HouseholdId,
  newId,
  Personal,
  silentLog,
} from '../../src/core/index.ts'
import type { LiveUpdate } from '../../src/home/index.ts'
import { createKeys } from '../../src/keys/index.ts'
import type { ProvisionedDevice } from '../../src/registry/index.ts'
import { openRecord, type StreamRecord } from '../../src/stream/index.ts'
import { scrambledStores } from '../support/scrambled-store.ts'
import { connectDevice, provisionDevice, type Rooms, startRooms } from '../support/start-rooms.ts'

const HOUSEHOLDS = 10
const DEVICES_EACH = 3
const ROUNDS = 6

interface Household {
  accountId: AccountId
  householdId: HouseholdId
  /** Stands in all that its devices say and are told, and in no other household's. */
  mark: number
  devices: ProvisionedDevice[]
  updates: LiveUpdate[]
}

const { state, store } = scrambledStores(0.2)
const caches = createCaches({ log: silentLog, store })
const households: Household[] = []
/** What each household's devices were told: marks. */
const told: { mark: number; level: number }[] = []
let rooms: Rooms

beforeAll(async () => {
  rooms = await startRooms({ caches })
  for (let mark = 1; mark <= HOUSEHOLDS; mark += 1) {
    const accountId = newId<AccountId>()
    const { householdId } = await rooms.registry.createHousehold(accountId, {
      name: new Personal(`Home ${mark}`),
    })
    const household: Household = { accountId, householdId, mark, devices: [], updates: [] }
    for (let i = 0; i < DEVICES_EACH; i += 1) {
      const device = await provisionDevice(rooms, 'hearth-bulb')
      const client = await connectDevice(rooms, device)
      await rooms.registry.claim({ accountId, householdId, code: device.claimCode })
      await client.endAsync(true)
      household.devices.push(device)
    }
    households.push(household)
  }
})
afterAll(async () => {
  state.on = false
  await rooms.close()
})

/** Connects as often as it takes: a mix-up is answered as an error, and the device comes again. */
async function reconnect(household: Household, device: ProvisionedDevice): Promise<MqttClient> {
  for (;;) {
    const client = await connectDevice(rooms, device).catch(() => undefined)
    if (!client) continue
    client.on('error', () => {})
    client.on('message', (_topic, message) => {
      const { id, arguments: args } = JSON.parse(message.toString())
      told.push({ mark: household.mark, level: args.Level })
      client.publish(`hearth/1/${device.deviceId}/results`, JSON.stringify({ id, status: 'SUCCESS' }), {
        qos: 1,
      })
    })
    return client
  }
}

async function oneRound(household: Household, device: ProvisionedDevice): Promise<void> {
  const { accountId, mark } = household
  const { deviceId } = device
  const client = await reconnect(household, device)
  const patient = { timeout: 2_000 }
  await within(client.subscribeAsync(`hearth/1/${deviceId}/commands`, { qos: 1 }))
  await within(
    client.publishAsync(
      `hearth/1/${deviceId}/attributes`,
      JSON.stringify({ 'LevelControl.CurrentLevel': mark }),
      {
        qos: 1,
      },
    ),
  )
  const asked = rooms.home.requestCommand({
    accountId,
    deviceId,
    command: 'LevelControl.MoveToLevel',
    arguments: { Level: mark, TransitionTime: null, OptionsMask: 0, OptionsOverride: 0 },
  })
  await asked.catch(refusedHonestly)
  for (const household of households)
    await rooms.home.devices(household.accountId, household.householdId).then(
      (devices) =>
        expectOnly(
          household,
          devices.map((seen) => seen.attributes['1/LevelControl.CurrentLevel']?.value),
        ),
      refusedHonestly,
    )
  await vi.waitFor(() => expect(rooms.stream.stats().stream_pending_records).toBe(0), patient)
  await client.endAsync(true)
}

/** The connection may have ended meanwhile. */
async function within(work: Promise<unknown>): Promise<void> {
  const late = new Promise((resolve) => setTimeout(resolve, 500))
  await Promise.race([work.catch(() => {}), late])
}

function refusedHonestly(error: { code?: string }): void {
  expect(['integrity_failed', 'conflict', 'rate_limited']).toContain(error.code)
}

function expectOnly({ mark }: Household, levels: unknown[]): void {
  expect(new Set(levels.filter((level) => level !== undefined))).toEqual(
    levels.some((level) => level !== undefined) ? new Set([mark]) : new Set(),
  )
}

it('shows and tells nobody anything of another household, in a storm of reconnecting devices, and every mix-up is counted', async () => {
  for (const household of households)
    await rooms.home.watch(
      household.accountId,
      household.householdId,
      (update) => void household.updates.push(update),
    )
  state.on = true
  for (let round = 0; round < ROUNDS; round += 1)
    await Promise.all(
      households.flatMap((household) => household.devices.map((device) => oneRound(household, device))),
    )
  state.on = false

  const seen = households.flatMap(({ mark, updates }) =>
    updates.flatMap((update) =>
      update.kind === 'attributes' ? Object.values(update.payload).map((level) => ({ mark, level })) : [],
    ),
  )
  expect(seen.length).toBeGreaterThan(HOUSEHOLDS)
  expect(seen.filter(({ mark, level }) => level !== mark)).toEqual([])
  expect(told.length).toBeGreaterThan(HOUSEHOLDS)
  expect(told.filter(({ mark, level }) => level !== mark)).toEqual([])
  for (const { devices, updates } of households) {
    const own = new Set<string>(devices.map(({ deviceId }) => deviceId))
    expect(
      updates.flatMap((update) => ('deviceId' in update && !own.has(update.deviceId) ? update : [])),
    ).toEqual([])
  }
  const stats = caches.stats()
  expect(state.mixedUp).toBeGreaterThan(100)
  expect(stats.cache_wrong_owner_total).toBe(state.mixedUp)
  const metrics = await (await fetch(`${rooms.opsUrl}/metrics`)).text()
  expect(metrics).toContain(`hearthlock_cache_wrong_owner_total ${state.mixedUp}`)
}, 120_000)

it('nothing was sealed to another owner: all that is stored opens where it stands', async () => {
  const { database, provider } = rooms
  const keys = createKeys({ database, provider, clock: { nowMs: Date.now }, log: silentLog })
  const { rows } = await database.pool.query(
    `select r.record_id as "recordId", r.kind, r.device_id as "deviceId", r.tenure_id as "tenureId", r.sealed, t.key_id
     from stream.record r join registry.tenure t using (tenure_id)`,
  )
  expect(rows.length).toBeGreaterThan(HOUSEHOLDS * DEVICES_EACH)
  const kinds = ['', 'attributes', 'events', 'results', 'availability'] as const
  for (const row of rows) {
    const record = { ...row, kind: kinds[row.kind as number], slots: [] } as StreamRecord
    const key = await keys.open(row.key_id)
    expect(() => openRecord(key, record)).not.toThrow()
  }
})
