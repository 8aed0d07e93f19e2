import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import {
  type Bus,
  createBus,
  type DeviceId,
  type HouseholdId,
  newId,
  silentLog,
} from '../../src/core/index.ts'
import type { Registry, TenureChange } from '../../src/registry/index.ts'
import { createWorld, type World } from './world.ts'

let world: World
let bus: Bus
/** As in another process: it did none of it. */
let other: Registry
const heard: TenureChange[] = []
const access: HouseholdId[] = []
const concerned: DeviceId[] = []

beforeAll(async () => {
  world = await createWorld()
  const { database } = world
  bus = createBus({ database, log: silentLog, beatMs: 20 })
  other = await world.anotherRegistry(bus)
  other.onTenureChange(
    (change) => heard.push(change),
    () => concerned,
  )
  other.onAccessChange(({ householdId }) => access.push(householdId))
  await bus.start()
  await other.start()
})
afterEach(() => {
  heard.length = 0
  access.length = 0
  concerned.length = 0
})
afterAll(async () => {
  await other.close()
  await bus.close()
  await world.close()
})

async function claimed() {
  const person = await world.settle()
  const device = await world.provisionOne('hearth-lock')
  world.online.add(device.deviceId)
  const { accountId } = person
  const { householdId } = person.household
  const tenure = await world.registry.claim({ accountId, householdId, code: device.claimCode })
  return { accountId, householdId, tenure, deviceId: device.deviceId }
}

describe('what another process commits', () => {
  it('a tenure that starts and one that ends are heard of, whoever writes it', async () => {
    const { tenure, deviceId } = await claimed()
    await vi.waitFor(() => expect(heard.at(-1)).toEqual({ deviceId, tenure }))
    await world.database.pool.query(
      'update registry.tenure set ended_hour = started_hour where tenure_id = $1',
      [tenure.tenureId],
    )
    await vi.waitFor(() => expect(heard.at(-1)).toEqual({ deviceId, tenure: undefined }))
  })

  it('a change of members, grants and holds names the household', async () => {
    const { accountId, householdId, tenure } = await claimed()
    const changes: [string, unknown[]][] = [
      [
        `insert into registry.access_grant values ($1, $2, $3, 'operator', '\\x00')`,
        [newId(), tenure.tenureId, newId()],
      ],
      ['delete from registry.access_grant where tenure_id = $1', [tenure.tenureId]],
      ['insert into registry.hold values ($1, now())', [accountId]],
      [`update registry.member set role = 'guest' where account_id = $1`, [accountId]],
      ['delete from registry.member where account_id = $1', [accountId]],
    ]
    for (const [statement, values] of changes) {
      access.length = 0
      await world.database.pool.query(statement, values)
      await vi.waitFor(() => expect(access, statement).toContain(householdId))
    }
  })

  it('a forged hint changes nothing: what holds is read', async () => {
    const { tenure, deviceId } = await claimed()
    await vi.waitFor(() => expect(heard).toHaveLength(1))
    await world.database.pool.query('select pg_notify($1, $2)', [
      'hearthlock_bus',
      `- registry.tenure ${deviceId}`,
    ])
    await vi.waitFor(() => expect(heard).toHaveLength(2))
    expect(heard[1]).toEqual({ deviceId, tenure })
  })

  it('what a process may have missed is read again for the devices that concern it', async () => {
    const { tenure, deviceId } = await claimed()
    await vi.waitFor(() => expect(heard).toHaveLength(1))
    concerned.push(deviceId)
    await world.database.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'hearthlock-bus' and datname = current_database()`,
    )
    await vi.waitFor(() => expect(heard).toHaveLength(2))
    expect(heard[1]).toEqual({ deviceId, tenure })
    expect(bus.lease.holds()).toBe(true)
  })
})
