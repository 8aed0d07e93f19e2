import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AccountId, type DeviceId, newId, type Secret } from '../../src/core/index.ts'
import { DAY_MS, guest, HOUR_MS, type Home, held, home, join } from './people.ts'
import { createWorld, refusal, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

function give(
  ada: Home,
  code: Secret,
  devices: DeviceId[],
  more: { accountId?: AccountId; hours?: number } = {},
) {
  const request = { accountId: ada.owner, householdId: ada.householdId, hours: 1, ...more }
  return world.registry.giveSupportAccess({ ...request, code, devices, acts: ['view'] })
}
const reach = (operator: AccountId, deviceId: DeviceId, act: 'view' | 'control' = 'view') =>
  refusal(world.registry.device(operator, deviceId, act))
const log = async (ada: Home) =>
  (await world.registry.householdLog(ada.owner, ada.householdId, { limit: 50 })).entries.map(
    ({ event }) => event,
  )

describe('support', () => {
  it('sees what the household gave, does no more than that, and is cut off when the time is over', async () => {
    const ada = await home(world)
    const [lock, other] = [await held(world, ada), await held(world, ada)]
    const operator = newId<AccountId>()
    const { code } = await world.registry.requestSupportAccess(operator)
    expect(await reach(operator, lock.deviceId)).toBe('not_found')
    const access = await give(ada, code, [lock.deviceId])
    expect(access).toMatchObject({ operator, untilMs: world.time.nowMs + HOUR_MS })
    expect(await world.registry.supportAccess(ada.owner, ada.householdId)).toEqual([access])
    expect(await reach(operator, lock.deviceId)).toBeUndefined()
    expect(await reach(operator, lock.deviceId, 'control')).toBe('not_found')
    expect(await reach(operator, other.deviceId)).toBe('not_found')
    expect(await refusal(world.registry.devices(operator, ada.householdId))).toBe('not_found')
    expect(await refusal(world.registry.household(operator, ada.householdId))).toBe('not_found')
    world.time.nowMs += HOUR_MS
    expect(await reach(operator, lock.deviceId)).toBe('not_found')
    expect(await world.registry.supportAccess(ada.owner, ada.householdId)).toEqual([])
  })

  it('sees nothing from before it was let in, also when it is let in anew', async () => {
    const ada = await home(world)
    const lock = await held(world, ada)
    const operator = newId<AccountId>()
    const from = async (accountId: AccountId) =>
      (await world.registry.authorize({ accountId, tenureId: lock.tenureId, act: 'view' })).seesFromMs
    for (let turn = 0; turn < 2; turn++) {
      world.time.nowMs += DAY_MS
      await give(ada, (await world.registry.requestSupportAccess(operator)).code, [lock.deviceId])
      expect(await from(operator)).toBe(world.time.nowMs)
      expect((await world.registry.device(operator, lock.deviceId)).seesFromMs).toBe(world.time.nowMs)
    }
    expect(await from(ada.owner)).toBe(0)
  })

  it('is sent out by any adult, at once', async () => {
    const ada = await home(world)
    const bob = await join(world, ada, { role: 'adult' })
    const lock = await held(world, ada)
    const operator = newId<AccountId>()
    await give(ada, (await world.registry.requestSupportAccess(operator)).code, [lock.deviceId])
    const { householdId } = ada
    await world.registry.endSupportAccess({ accountId: bob, householdId, operator })
    expect(await reach(operator, lock.deviceId)).toBe('not_found')
    expect(await refusal(world.registry.endSupportAccess({ accountId: bob, householdId, operator }))).toBe(
      'not_found',
    )
  })

  it('is let in by owners only', async () => {
    const ada = await home(world)
    const lock = await held(world, ada)
    const operator = newId<AccountId>()
    const { code } = await world.registry.requestSupportAccess(operator)
    const others = [
      await join(world, ada, { role: 'adult' }),
      await join(world, ada, guest(world)),
      (await home(world)).owner,
      operator,
    ]
    for (const accountId of others) {
      expect(await refusal(give(ada, code, [lock.deviceId], { accountId }))).toBe('not_found')
    }
    expect(await refusal(give(ada, code, [lock.deviceId]))).toBeUndefined()
  })

  it('is let in by a code that works once, and for half an hour', async () => {
    const ada = await home(world)
    const lock = await held(world, ada)
    const { code } = await world.registry.requestSupportAccess(newId())
    const late = (await world.registry.requestSupportAccess(newId())).code
    await give(ada, code, [lock.deviceId])
    expect(await refusal(give(ada, code, [lock.deviceId]))).toBe('code_refused')
    world.time.nowMs += 30 * 60_000
    expect(await refusal(give(ada, late, [lock.deviceId]))).toBe('code_refused')
  })

  it('has at most five codes open', async () => {
    const operator = newId<AccountId>()
    const asked = await Promise.all(
      Array.from({ length: 8 }, () => refusal(world.registry.requestSupportAccess(operator))),
    )
    expect(asked.filter((outcome) => outcome === 'rate_limited')).toHaveLength(3)
  })

  it.each([0, 73, 0.5])('is not let in for %s hours', async (hours) => {
    const ada = await home(world)
    const lock = await held(world, ada)
    const { code } = await world.registry.requestSupportAccess(newId())
    expect(await refusal(give(ada, code, [lock.deviceId], { hours }))).toBe('invalid_request')
  })

  it('is not let into devices of others, and the code stays good after the slip', async () => {
    const ada = await home(world)
    const lock = await held(world, ada)
    const eves = await held(world, await home(world))
    const { code } = await world.registry.requestSupportAccess(newId())
    expect(await refusal(give(ada, code, [lock.deviceId, eves.deviceId]))).toBe('not_found')
    expect(await refusal(give(ada, code, [lock.deviceId]))).toBeUndefined()
  })

  it('leaves a line in the household’s log for each act on each day', async () => {
    const ada = await home(world)
    const lock = await held(world, ada)
    const operator = newId<AccountId>()
    await give(ada, (await world.registry.requestSupportAccess(operator)).code, [lock.deviceId], {
      hours: 48,
    })
    const other = await world.anotherRegistry()
    for (let times = 0; times < 3; times++) await reach(operator, lock.deviceId)
    await other.device(operator, lock.deviceId)
    await reach(operator, lock.deviceId, 'control')
    const used = { kind: 'support_used', account: operator, deviceId: lock.deviceId, act: 'view' }
    const uses = async () => (await log(ada)).filter(({ kind }) => kind === 'support_used')
    expect(await uses()).toEqual([used])
    world.time.nowMs += DAY_MS
    await reach(operator, lock.deviceId)
    expect(await uses()).toEqual([used, used])
  })

  it('is shown nothing when its use cannot be written down', async () => {
    const ada = await home(world)
    const lock = await held(world, ada)
    const operator = newId<AccountId>()
    await give(ada, (await world.registry.requestSupportAccess(operator)).code, [lock.deviceId])
    await world.database.pool.query(
      'alter table registry.access_use add constraint nothing_fits check (false) not valid',
    )
    try {
      expect(await reach(operator, lock.deviceId)).toBeDefined()
    } finally {
      await world.database.pool.query('alter table registry.access_use drop constraint nothing_fits')
    }
  })

  it('loses all when it stops being support', async () => {
    const ada = await home(world)
    const lock = await held(world, ada)
    const operator = newId<AccountId>()
    await give(ada, (await world.registry.requestSupportAccess(operator)).code, [lock.deviceId])
    const { code } = await world.registry.requestSupportAccess(operator)
    await world.database.transaction((tx) => world.registry.endOperator(tx, operator))
    expect(await reach(operator, lock.deviceId)).toBe('not_found')
    expect(await refusal(give(ada, code, [lock.deviceId]))).toBe('code_refused')
  })
})
