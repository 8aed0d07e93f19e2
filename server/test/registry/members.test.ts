import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AccountId, newId } from '../../src/core/index.ts'
import { DAY_MS, guest, HOUR_MS, type Home, held, home, join } from './people.ts'
import { createWorld, refusal, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

const adult = { role: 'adult' } as const
const remove = (accountId: AccountId, { householdId }: Home, memberId: AccountId) =>
  world.registry.removeMember({ accountId, householdId, memberId })
const handOver = (
  accountId: AccountId,
  { householdId }: Home,
  memberId: AccountId,
  remains: 'owner' | 'adult',
) => world.registry.handOver({ accountId, householdId, memberId, remains })
const roles = async (ada: Home, by = ada.owner) =>
  Object.fromEntries(
    (await world.registry.members(by, ada.householdId)).map(({ accountId, role }) => [accountId, role]),
  )

describe('members', () => {
  it('are seen by owners and adults, not by guests and strangers', async () => {
    const ada = await home(world)
    const bob = await join(world, ada, adult)
    const cleo = await join(world, ada, guest(world))
    expect(await roles(ada, bob)).toEqual({ [ada.owner]: 'owner', [bob]: 'adult', [cleo]: 'guest' })
    for (const who of [cleo, newId<AccountId>()]) {
      expect(await refusal(world.registry.members(who, ada.householdId))).toBe('not_found')
      expect(await refusal(world.registry.householdLog(who, ada.householdId, { limit: 1 }))).toBe('not_found')
    }
  })

  it('leave, and reach nothing from then on', async () => {
    const ada = await home(world)
    const { tenureId } = await held(world, ada)
    const bob = await join(world, ada, adult)
    await world.registry.authorize({ accountId: bob, tenureId, act: 'control' })
    await remove(bob, ada, bob)
    expect(await refusal(world.registry.authorize({ accountId: bob, tenureId, act: 'view' }))).toBe(
      'not_found',
    )
    expect(await refusal(remove(bob, ada, bob))).toBe('not_found')
  })

  it('are removed by owners; guests by adults, too; nobody by guests', async () => {
    const ada = await home(world)
    const [bob, ben] = [await join(world, ada, adult), await join(world, ada, adult)]
    const cleo = await join(world, ada, guest(world))
    expect(await refusal(remove(bob, ada, ben))).toBe('not_found')
    expect(await refusal(remove(bob, ada, ada.owner))).toBe('not_found')
    expect(await refusal(remove(cleo, ada, bob))).toBe('not_found')
    await remove(bob, ada, cleo)
    await remove(ada.owner, ada, ben)
    expect(await roles(ada)).toEqual({ [ada.owner]: 'owner', [bob]: 'adult' })
  })

  it('are told of at once, also on other nodes’ behalf: who listens hears of every change', async () => {
    const ada = await home(world)
    const heard: string[] = []
    const stop = world.registry.onAccessChange(({ householdId }) => heard.push(householdId))
    const bob = await join(world, ada, adult)
    await remove(ada.owner, ada, bob)
    stop()
    expect(heard).toEqual([ada.householdId, ada.householdId])
  })

  it('stay when the request of a held-back account would remove them', async () => {
    const ada = await home(world)
    const bob = await join(world, ada, adult)
    await world.database.transaction((tx) =>
      world.registry.holdBack(tx, ada.owner, world.time.nowMs + HOUR_MS),
    )
    expect(await refusal(remove(ada.owner, ada, bob))).toBe('not_found')
    expect(await refusal(handOver(ada.owner, ada, bob, 'adult'))).toBe('not_found')
    expect(await refusal(remove(ada.owner, ada, ada.owner))).toBe('not_found')
  })

  it('of a household are at most fifty', async () => {
    const ada = await home(world)
    await world.database.pool.query(
      `insert into registry.member select $1, gen_random_uuid(), 'adult' from generate_series(1, 49)`,
      [ada.householdId],
    )
    expect(await refusal(join(world, ada, adult))).toBe('conflict')
  })
})

describe('ownership', () => {
  it('is handed over, and shared', async () => {
    const ada = await home(world)
    const bob = await join(world, ada, adult)
    await handOver(ada.owner, ada, bob, 'owner')
    expect(await roles(ada)).toEqual({ [ada.owner]: 'owner', [bob]: 'owner' })
    await handOver(ada.owner, ada, bob, 'adult')
    expect(await roles(ada)).toEqual({ [ada.owner]: 'adult', [bob]: 'owner' })
    expect(await refusal(handOver(ada.owner, ada, bob, 'adult'))).toBe('not_found')
  })

  it('does not go to guests, strangers, or oneself', async () => {
    const ada = await home(world)
    const cleo = await join(world, ada, guest(world))
    expect(await refusal(handOver(ada.owner, ada, cleo, 'adult'))).toBe('conflict')
    expect(await refusal(handOver(ada.owner, ada, newId(), 'adult'))).toBe('not_found')
    expect(await refusal(handOver(ada.owner, ada, ada.owner, 'adult'))).toBe('not_found')
    expect(await roles(ada)).toMatchObject({ [ada.owner]: 'owner' })
  })

  it('is nobody else’s to take: owners do not remove or demote each other', async () => {
    const ada = await home(world)
    const bob = await join(world, ada, adult)
    await handOver(ada.owner, ada, bob, 'owner')
    expect(await refusal(remove(bob, ada, ada.owner))).toBe('conflict')
    const demote = { accountId: bob, householdId: ada.householdId, memberId: ada.owner, to: guest(world) }
    expect(await refusal(world.registry.changeMember(demote))).toBe('conflict')
  })

  it('does not vanish: the last owner cannot leave', async () => {
    const ada = await home(world)
    const bob = await join(world, ada, adult)
    expect(await refusal(remove(ada.owner, ada, ada.owner))).toBe('conflict')
    await handOver(ada.owner, ada, bob, 'owner')
    await remove(ada.owner, ada, ada.owner)
    expect(await roles(ada, bob)).toEqual({ [bob]: 'owner' })
  })

  it('does not vanish when two owners leave at the same moment', async () => {
    const other = await world.anotherRegistry()
    for (let round = 0; round < 5; round++) {
      const ada = await home(world)
      const bob = await join(world, ada, adult)
      await handOver(ada.owner, ada, bob, 'owner')
      const outcomes = await Promise.all([
        refusal(remove(ada.owner, ada, ada.owner)),
        refusal(other.removeMember({ accountId: bob, householdId: ada.householdId, memberId: bob })),
      ])
      expect(outcomes.sort()).toEqual(['conflict', undefined])
    }
  })

  it('does not vanish when one leaves while the other steps down', async () => {
    const other = await world.anotherRegistry()
    for (let round = 0; round < 5; round++) {
      const ada = await home(world)
      const bob = await join(world, ada, adult)
      await handOver(ada.owner, ada, bob, 'owner')
      await Promise.all([
        refusal(remove(ada.owner, ada, ada.owner)),
        refusal(
          other.handOver({
            accountId: bob,
            householdId: ada.householdId,
            memberId: ada.owner,
            remains: 'adult',
          }),
        ),
      ])
      const { rows } = await world.database.pool.query(
        `select 1 from registry.member where household_id = $1 and role = 'owner'`,
        [ada.householdId],
      )
      expect(rows.length).toBeGreaterThan(0)
    }
  })
})

describe('a guest', () => {
  it('sees the household’s name and the devices granted, and does what was granted there', async () => {
    const ada = await home(world)
    const lock = await held(world, ada)
    const bulb = await held(world, ada, 'hearth-bulb')
    const camera = await held(world, ada, 'hearth-cam')
    const cleo = await join(
      world,
      ada,
      guest(world, [
        { deviceId: lock.deviceId, acts: ['control'] },
        { deviceId: bulb.deviceId, acts: ['view'] },
      ]),
    )
    const may = (tenureId: typeof lock.tenureId, act: 'view' | 'control' | 'configure') =>
      refusal(world.registry.authorize({ accountId: cleo, tenureId, act }))
    expect(await world.registry.household(cleo, ada.householdId)).toMatchObject({ role: 'guest' })
    const seen = (await world.registry.devices(cleo, ada.householdId)).map(({ deviceId }) => deviceId)
    expect(seen.sort()).toEqual([lock.deviceId, bulb.deviceId].sort())
    expect(await may(lock.tenureId, 'control')).toBeUndefined()
    expect(await may(lock.tenureId, 'view')).toBeUndefined()
    expect(await may(bulb.tenureId, 'view')).toBeUndefined()
    expect(await may(bulb.tenureId, 'control')).toBe('not_found')
    expect(await may(lock.tenureId, 'configure')).toBe('not_found')
    expect(await may(camera.tenureId, 'view')).toBe('not_found')
    expect(await refusal(world.registry.device(cleo, camera.deviceId))).toBe('not_found')
  })

  it('has other devices and times from the moment they are changed', async () => {
    const ada = await home(world)
    const lock = await held(world, ada)
    const bulb = await held(world, ada, 'hearth-bulb')
    const cleo = await join(world, ada, guest(world, [{ deviceId: lock.deviceId, acts: ['view'] }]))
    const bob = await join(world, ada, adult)
    await world.registry.changeMember({
      accountId: bob,
      householdId: ada.householdId,
      memberId: cleo,
      to: guest(world, [{ deviceId: bulb.deviceId, acts: ['view'] }]),
    })
    const seen = await world.registry.devices(cleo, ada.householdId)
    expect(seen.map(({ deviceId }) => deviceId)).toEqual([bulb.deviceId])
    const members = await world.registry.members(ada.owner, ada.householdId)
    expect(members.find(({ accountId }) => accountId === cleo)?.guest?.devices).toEqual([
      { deviceId: bulb.deviceId, acts: ['view'] },
    ])
  })

  it('has no access outside the hours, sees the name still, and nothing after the end', async () => {
    const ada = await home(world)
    const lock = await held(world, ada)
    const hours = { timeZone: 'UTC', windows: [{ days: ['sun' as const], from: '12:00', to: '13:00' }] }
    world.time.nowMs = Date.parse('2026-03-01T12:34:56Z')
    const cleo = await join(
      world,
      ada,
      guest(world, [{ deviceId: lock.deviceId, acts: ['control'] }], {
        hours,
        untilMs: world.time.nowMs + 8 * DAY_MS,
      }),
    )
    const reach = () => refusal(world.registry.device(cleo, lock.deviceId))
    const [device] = await world.registry.devices(cleo, ada.householdId)
    expect(await reach()).toBeUndefined()
    expect(device?.visibleAt(Date.parse('2026-03-01T12:59:59Z'))).toBe(true)
    expect(device?.visibleAt(Date.parse('2026-03-01T13:00:00Z'))).toBe(false)
    world.time.nowMs = Date.parse('2026-03-01T13:00:00Z')
    expect(await reach()).toBe('not_found')
    expect(await refusal(world.registry.devices(cleo, ada.householdId))).toBe('not_found')
    expect(await world.registry.households(cleo)).toHaveLength(1)
    world.time.nowMs = Date.parse('2026-03-08T12:30:00Z')
    expect(await reach()).toBeUndefined()
    world.time.nowMs = Date.parse('2026-03-15T12:30:00Z')
    expect(await reach()).toBe('not_found')
    expect(await world.registry.households(cleo)).toEqual([])
  })

  it('who becomes an adult, and a guest again, has no grant from before', async () => {
    const ada = await home(world)
    const lock = await held(world, ada)
    const cleo = await join(world, ada, guest(world, [{ deviceId: lock.deviceId, acts: ['control'] }]))
    const change = (to: Parameters<World['registry']['changeMember']>[0]['to']) =>
      world.registry.changeMember({ accountId: ada.owner, householdId: ada.householdId, memberId: cleo, to })
    await change(adult)
    expect(await refusal(world.registry.device(cleo, lock.deviceId))).toBeUndefined()
    await change(guest(world))
    expect(await refusal(world.registry.device(cleo, lock.deviceId))).toBe('not_found')
  })

  it('who is removed leaves no grant behind', async () => {
    const ada = await home(world)
    const lock = await held(world, ada)
    const cleo = await join(world, ada, guest(world, [{ deviceId: lock.deviceId, acts: ['view'] }]))
    await remove(ada.owner, ada, cleo)
    const { rows } = await world.database.pool.query(
      'select 1 from registry.access_grant where account_id = $1',
      [cleo],
    )
    expect(rows).toEqual([])
  })

  it('changes nothing about themselves', async () => {
    const ada = await home(world)
    const cleo = await join(world, ada, guest(world))
    for (const to of [adult, guest(world)]) {
      const request = { accountId: cleo, householdId: ada.householdId, memberId: cleo, to }
      expect(await refusal(world.registry.changeMember(request))).toBe('not_found')
    }
  })
})
