import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AccountId, type DisputeId, newId, Personal } from '../../src/core/index.ts'
import { createWorld, refusal, type World } from './world.ts'

const DAY_MS = 86_400_000

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

const operator = () => newId<AccountId>()

async function disputed(model = 'hearth-lock') {
  const device = await world.provisionOne(model)
  world.online.add(device.deviceId)
  const home = await world.settle()
  const { accountId } = home
  const { householdId } = home.household
  const tenure = await world.registry.claim({ accountId, householdId, code: device.claimCode })
  const opener = operator()
  const open = () =>
    world.registry.openDispute({
      operator: opener,
      deviceId: device.deviceId,
      reason: new Personal('Bought with the flat of Erika Musterfrau'),
      evidence: new Personal('Case 4711'),
    })
  return { device, deviceId: device.deviceId, home, accountId, householdId, tenure, opener, open }
}

const complete = (disputeId: DisputeId, by = operator(), securityOfficer = false) =>
  refusal(world.registry.completeDispute({ operator: by, securityOfficer, disputeId }))

type Disputed = Awaited<ReturnType<typeof disputed>>
const object = (
  { accountId, householdId }: Pick<Disputed, 'accountId' | 'householdId'>,
  disputeId: DisputeId,
) =>
  refusal(
    world.registry.objectToDispute({
      accountId,
      householdId,
      disputeId,
      objection: new Personal('It is ours, we live here.'),
    }),
  )

async function kinds({ accountId, householdId }: Disputed): Promise<string[]> {
  const { entries } = await world.registry.householdLog(accountId, householdId, { limit: 50 })
  return entries.map(({ event }) => event.kind)
}

describe('a dispute', () => {
  it('tells the household at once, and ends the tenure after the waiting time by another operator', async () => {
    const it = await disputed()
    const { disputeId, dueAtMs, state } = await it.open()
    expect(state).toBe('waiting')
    expect(dueAtMs).toBe(world.time.nowMs + 14 * DAY_MS)
    expect((await kinds(it))[0]).toBe('dispute_opened')
    world.time.nowMs = dueAtMs - 1
    expect(await complete(disputeId)).toBe('conflict')
    world.time.nowMs = dueAtMs
    expect(await complete(disputeId, it.opener)).toBe('conflict')
    expect(await complete(disputeId, it.opener, true)).toBe('conflict')
    expect(await world.registry.currentTenure(it.deviceId)).toEqual(it.tenure)
    expect(await complete(disputeId)).toBe(undefined)
    expect(await world.registry.currentTenure(it.deviceId)).toBeUndefined()
    expect((await kinds(it))[0]).toBe('dispute_completed')
    const [past] = await world.registry.pastDevices(it.accountId, it.householdId)
    expect(past?.how).toBe('disputed')
    // And whoever won it needs the device in hand.
    const next = await world.settle()
    const claim = () =>
      refusal(
        world.registry.claim({
          accountId: next.accountId,
          householdId: next.household.householdId,
          code: it.device.claimCode,
        }),
      )
    expect(await claim()).toBe('claim_refused')
    await world.reset(it.device)
    expect(await claim()).toBe(undefined)
  })

  it('that the household objected to is for a security officer', async () => {
    const it = await disputed()
    const { disputeId, dueAtMs } = await it.open()
    expect(await object(it, disputeId)).toBe(undefined)
    expect(await object(it, disputeId)).toBe('conflict')
    world.time.nowMs = dueAtMs
    expect(await complete(disputeId)).toBe('conflict')
    const [file] = await world.registry.disputes({ open: true })
    expect(file).toMatchObject({ disputeId, state: 'objected', openedBy: it.opener })
    expect(file?.objection?.reveal()).toBe('It is ours, we live here.')
    expect(await complete(disputeId, operator(), true)).toBe(undefined)
    expect(await kinds(it)).toEqual([
      'dispute_completed',
      'dispute_objected',
      'dispute_opened',
      'claimed',
      'founded',
    ])
  })

  it('is objected to by owners of that household only', async () => {
    const it = await disputed()
    const { disputeId } = await it.open()
    const other = await world.settle()
    const adult = newId<AccountId>()
    await world.database.pool.query('insert into registry.member values ($1, $2, $3)', [
      it.householdId,
      adult,
      'adult',
    ])
    expect(await object({ accountId: adult, householdId: it.householdId }, disputeId)).toBe('not_found')
    expect(
      await object({ accountId: other.accountId, householdId: other.household.householdId }, disputeId),
    ).toBe('not_found')
    expect(await object({ ...it, accountId: other.accountId }, disputeId)).toBe('not_found')
    expect((await world.registry.householdDisputes(adult, it.householdId)).map(({ state }) => state)).toEqual(
      ['waiting'],
    )
  })

  it('shows the household nothing of who asked and why', async () => {
    const it = await disputed()
    await it.open()
    const [seen] = await world.registry.householdDisputes(it.accountId, it.householdId)
    expect(Object.keys(seen ?? {}).sort()).toEqual([
      'deviceId',
      'disputeId',
      'dueAtMs',
      'objection',
      'openedAtMs',
      'state',
    ])
    const { rows } = await world.database.pool.query('select d::text from registry.dispute d')
    expect(JSON.stringify(rows)).not.toContain(Buffer.from('Erika').toString('hex'))
  })

  it.each(['withdrawDispute', 'rejectDispute'] as const)('is over by %s', async (step) => {
    const it = await disputed()
    const { disputeId, dueAtMs } = await it.open()
    await world.registry[step]({ operator: operator(), disputeId })
    world.time.nowMs = dueAtMs
    expect(await complete(disputeId)).toBe('conflict')
    expect(await object(it, disputeId)).toBe('conflict')
    expect(await refusal(world.registry.rejectDispute({ operator: operator(), disputeId }))).toBe('conflict')
    expect(await world.registry.currentTenure(it.deviceId)).toEqual(it.tenure)
    expect(await refusal(it.open())).toBe(undefined)
  })

  it('is moot once the tenure ended otherwise, and touches the next one not at all', async () => {
    const it = await disputed()
    const { disputeId, dueAtMs } = await it.open()
    const { code } = await world.registry.offerTransfer({ ...it, history: 'kept' })
    const next = await world.settle()
    const tenure = await world.registry.acceptTransfer({
      accountId: next.accountId,
      householdId: next.household.householdId,
      code,
    })
    world.time.nowMs = dueAtMs
    expect(await complete(disputeId)).toBe('conflict')
    expect(await world.registry.currentTenure(it.deviceId)).toEqual(tenure)
    const file = (await world.registry.disputes({ open: false })).find((each) => each.disputeId === disputeId)
    expect(file?.state).toBe('moot')
  })

  it('is for held devices that must be released, one at a time', async () => {
    const it = await disputed()
    await it.open()
    expect(await refusal(it.open())).toBe('conflict')
    const plug = await disputed('hearth-plug')
    expect(await refusal(plug.open())).toBe('conflict')
    const free = await disputed()
    await world.registry.release({ ...free, history: 'kept' })
    expect(await refusal(free.open())).toBe('not_found')
    expect(await complete(newId<DisputeId>())).toBe('not_found')
  })

  it('completed and objected to at once ends in one of the two', async () => {
    const it = await disputed()
    const { disputeId, dueAtMs } = await it.open()
    world.time.nowMs = dueAtMs
    const outcomes = await Promise.all([
      object(it, disputeId),
      complete(disputeId),
      complete(disputeId, operator(), true),
    ])
    const ended = (await world.registry.currentTenure(it.deviceId)) === undefined
    expect(ended).toBe(outcomes[1] === undefined || outcomes[2] === undefined)
    expect(outcomes.filter((outcome, at) => at > 0 && outcome === undefined).length).toBeLessThan(2)
  })
})
