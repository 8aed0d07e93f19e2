import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AccountId, newId, type TenureId } from '../../src/core/index.ts'
import { guest, HOUR_MS, held, home, join } from './people.ts'
import { createWorld, START_MS, type World } from './world.ts'

let world: World

beforeAll(async () => {
  world = await createWorld()
  await at(0)
})
afterAll(() => world.close())

const T0 = START_MS - (START_MS % HOUR_MS)

/** The database's own clock is the trigger's: moved with the world's. */
async function at(hours: number): Promise<void> {
  world.time.nowMs = START_MS + hours * HOUR_MS
  const now = new Date(world.time.nowMs).toISOString()
  await sql`create or replace function registry.this_hour() returns timestamptz language sql stable
    as $$ select date_trunc('hour', timestamptz '${sql.raw(now)}', 'UTC') $$`.execute(world.database.queries)
}

async function around(tenureId: TenureId, from: number, to: number): Promise<AccountId[] | undefined> {
  const [present] = await world.registry.present([
    { tenureId, fromMs: T0 + from * HOUR_MS, toMs: T0 + to * HOUR_MS },
  ])
  return present?.accountIds
}

describe('whom a device was around', () => {
  test('who has left counts for the hours until then, and who comes later only from then on', async () => {
    await at(0)
    const ours = await home(world)
    const { tenureId } = await held(world, ours)
    const first = await join(world, ours, { role: 'adult' })
    await at(5)
    await world.registry.removeMember({ ...ours, accountId: ours.owner, memberId: first })
    await at(9)
    const second = await join(world, ours, { role: 'adult' })
    expect(await around(tenureId, 0, 4)).toEqual([ours.owner, first].sort())
    expect(await around(tenureId, 5, 5)).toEqual([ours.owner, first].sort())
    expect(await around(tenureId, 6, 8)).toEqual([ours.owner])
    expect(await around(tenureId, 6, 20)).toEqual([ours.owner, second].sort())
  })

  test('a guest counts for the device that the grant is for, and not for the others', async () => {
    await at(0)
    const ours = await home(world)
    const lock = await held(world, ours)
    const camera = await held(world, ours, 'hearth-cam')
    const visitor = await join(world, ours, guest(world, [{ deviceId: lock.deviceId, acts: ['view'] }]))
    expect(await around(lock.tenureId, 0, 1)).toContain(visitor)
    expect(await around(camera.tenureId, 0, 1)).toEqual([ours.owner])
    await at(3)
    const { registry } = world
    await registry.changeMember({ ...ours, accountId: ours.owner, memberId: visitor, to: { role: 'adult' } })
    expect(await around(camera.tenureId, 0, 2)).toEqual([ours.owner])
    expect(await around(camera.tenureId, 0, 3)).toContain(visitor)
  })

  test('the next household of a device is not that of before', async () => {
    await at(0)
    const ours = await home(world)
    const { tenureId, deviceId } = await held(world, ours)
    await at(4)
    await world.registry.release({ accountId: ours.owner, deviceId, history: 'destroyed' })
    await at(8)
    const late = await join(world, ours, { role: 'adult' })
    expect(await around(tenureId, 0, 10)).toEqual([ours.owner])
    expect(await around(tenureId, 0, 10)).not.toContain(late)
    expect(await around(tenureId, 5, 10)).toBeUndefined()
  })

  test('whoever is erased counts on under an id that is nobody’s, and the people of a home that has ended are not forgotten', async () => {
    await at(0)
    const ours = await home(world)
    const { tenureId } = await held(world, ours)
    const adult = await join(world, ours, { role: 'adult' })
    await at(2)
    const { registry, database } = world
    const wishes = [{ householdId: ours.householdId, wish: 'end' as const }]
    const announce = await database.transaction((tx) => registry.eraseAccount(tx, ours.owner, wishes))
    announce?.()
    const there = await around(tenureId, 0, 9)
    expect(there).toHaveLength(2)
    expect(there).toContain(adult)
    expect(there).not.toContain(ours.owner)
  })

  test('tenures that are not are left out, and many are asked at once', async () => {
    await at(0)
    const ours = await home(world)
    const { tenureId } = await held(world, ours)
    const span = { fromMs: T0, toMs: T0 }
    const many = Array.from({ length: 12_000 }, () => ({ ...span, tenureId: newId<TenureId>() }))
    const found = await world.registry.present([...many, { ...span, tenureId }])
    expect(found).toMatchObject([{ tenureId, householdId: ours.householdId, accountIds: [ours.owner] }])
  })
})
