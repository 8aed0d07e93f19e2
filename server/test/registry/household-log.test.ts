import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AccountId, newId } from '../../src/core/index.ts'
import { createWorld, refusal, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

const page = { limit: 50 }

describe("a household's log", () => {
  it('tells its owners what happened, newest first, with the time', async () => {
    const { accountId, household } = await world.settle()
    const lock = await world.provisionOne('hearth-lock')
    world.online.add(lock.deviceId)
    await world.registry.claim({ accountId, householdId: household.householdId, code: lock.claimCode })
    expect(await world.registry.householdLog(accountId, household.householdId, page)).toEqual({
      entries: [
        {
          seq: 2,
          atMs: world.time.nowMs,
          event: { kind: 'claimed', by: accountId, deviceId: lock.deviceId },
        },
        { seq: 1, atMs: world.time.nowMs, event: { kind: 'founded', by: accountId } },
      ],
    })
  })

  it('comes in pages', async () => {
    const { accountId, household } = await world.settle()
    const lock = await world.provisionOne('hearth-lock')
    world.online.add(lock.deviceId)
    await world.registry.claim({ accountId, householdId: household.householdId, code: lock.claimCode })
    const first = await world.registry.householdLog(accountId, household.householdId, { limit: 1 })
    expect(first).toMatchObject({ entries: [{ seq: 2 }], next: 2 })
    const second = await world.registry.householdLog(accountId, household.householdId, {
      limit: 1,
      before: first.next,
    })
    expect(second).toMatchObject({ entries: [{ seq: 1 }] })
    expect(second.next).toBeUndefined()
  })

  it('is not for strangers', async () => {
    const { household } = await world.settle()
    const stranger = newId<AccountId>()
    expect(await refusal(world.registry.householdLog(stranger, household.householdId, page))).toBe(
      'not_found',
    )
  })

  it.each([0, 201, 1.5])('has no page of %s', async (limit) => {
    const { accountId, household } = await world.settle()
    const read = world.registry.householdLog(accountId, household.householdId, { limit })
    expect(await refusal(read)).toBe('invalid_request')
  })

  it('does not open where it was not written', async () => {
    const ada = await world.settle()
    const bob = await world.settle()
    await world.database.pool.query(
      `update registry.household_log set sealed = (
         select sealed from registry.household_log where household_id = $1 and seq = 1) where household_id = $2`,
      [ada.household.householdId, bob.household.householdId],
    )
    const read = world.registry.householdLog(bob.accountId, bob.household.householdId, page)
    expect(await refusal(read)).toBe('integrity_failed')
  })

  it('keeps no more than its bound', async () => {
    const { accountId, household } = await world.settle()
    const lock = await world.provisionOne('hearth-lock')
    await world.database.pool.query('update registry.household set log_seq = 10000 where household_id = $1', [
      household.householdId,
    ])
    world.online.add(lock.deviceId)
    await world.registry.claim({ accountId, householdId: household.householdId, code: lock.claimCode })
    const { entries } = await world.registry.householdLog(accountId, household.householdId, page)
    expect(entries.map(({ seq }) => seq)).toEqual([10_001])
  })
})
