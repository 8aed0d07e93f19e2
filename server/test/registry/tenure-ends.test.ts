import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type AccountId, newId, Personal, Secret } from '../../src/core/index.ts'
import type { MemberRole, ProvisionedDevice, Tenure, TenureChange } from '../../src/registry/index.ts'
import { createWorld, freshCode, refusal, type World } from './world.ts'

const MINUTE_MS = 60_000

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

type Home = Awaited<ReturnType<World['settle']>>

async function member(home: Home, role: MemberRole): Promise<AccountId> {
  const accountId = newId<AccountId>()
  await world.database.pool.query('insert into registry.member values ($1, $2, $3)', [
    home.household.householdId,
    accountId,
    role,
  ])
  return accountId
}

const claim = ({ accountId, household }: Home, device: ProvisionedDevice) =>
  world.registry.claim({
    accountId,
    householdId: household.householdId,
    code: device.claimCode,
    nickname: new Personal('Door'),
  })

const accept = ({ accountId, household }: Home, code: Secret) =>
  world.registry.acceptTransfer({ accountId, householdId: household.householdId, code })

async function held(model = 'hearth-lock') {
  const device = await world.provisionOne(model)
  world.online.add(device.deviceId)
  const home = await world.settle()
  const tenure = await claim(home, device)
  const { deviceId } = device
  return { device, deviceId, home, tenure, accountId: home.accountId }
}

async function kinds({ accountId, household }: Home): Promise<string[]> {
  const page = await world.registry.householdLog(accountId, household.householdId, { limit: 50 })
  return page.entries.map(({ event }) => event.kind)
}

async function hearing(work: () => Promise<unknown>): Promise<TenureChange[]> {
  const heard: TenureChange[] = []
  const stop = world.registry.onTenureChange((change) => heard.push(change))
  await work()
  stop()
  return heard
}

/** Until so many wait for a lock. */
const waiting = (count: number) =>
  vi.waitFor(async () => {
    const { rows } = await world.database.pool.query(
      "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
    )
    expect(rows).toHaveLength(count)
  })

/** What an account asks for while its role is being lowered: it waits, and is answered after the commit. */
async function whileDemoted(home: Home, role: MemberRole, acts: () => Promise<unknown>[]) {
  const client = await world.database.pool.connect()
  await client.query('begin')
  const household = [home.household.householdId]
  await client.query('select from registry.household where household_id = $1 for update', household)
  await client.query('update registry.member set role = $2 where household_id = $1', [...household, role])
  const outcomes = acts().map(refusal)
  await waiting(outcomes.length)
  await client.query('commit')
  client.release()
  return Promise.all(outcomes)
}

async function grantRow(tenure: Tenure): Promise<void> {
  await world.database.pool.query(
    "insert into registry.access_grant values (gen_random_uuid(), $1, gen_random_uuid(), 'guest', $2)",
    [tenure.tenureId, Buffer.alloc(8)],
  )
}

describe('a new nickname', () => {
  it('is not given by a member who is demoted at that moment', async () => {
    const { deviceId, home, accountId } = await held()
    const outcomes = await whileDemoted(home, 'guest', () => [
      world.registry.renameDevice(accountId, deviceId, new Personal('Mine')),
    ])
    expect(outcomes).toEqual(['not_found'])
    await world.database.pool.query("update registry.member set role = 'owner' where account_id = $1", [
      accountId,
    ])
    expect((await world.registry.device(accountId, deviceId)).nickname?.reveal()).toBe('Door')
  })
})

describe('a release', () => {
  it('ends the tenure and all grants in it, tells of it, and keeps what the household chose to keep', async () => {
    const { deviceId, home, tenure, accountId } = await held()
    await grantRow(tenure)
    const heard = await hearing(() => world.registry.release({ accountId, deviceId, history: 'kept' }))
    expect(heard).toEqual([{ deviceId, tenure: undefined }])
    expect(await world.registry.currentTenure(deviceId)).toBeUndefined()
    const { rows } = await world.database.pool.query(
      'select count(*) from registry.access_grant where tenure_id = $1',
      [tenure.tenureId],
    )
    expect(rows[0].count).toBe(0)
    const [past] = await world.registry.pastDevices(accountId, home.household.householdId)
    expect(past).toMatchObject({ tenureId: tenure.tenureId, how: 'released' })
    expect(past?.endedAtMs).toBe(world.time.nowMs)
    expect(past?.nickname?.reveal()).toBe('Door')
    expect(await kinds(home)).toEqual(['released', 'claimed', 'founded'])
  })

  it('with its history destroyed leaves no key and no name', async () => {
    const { deviceId, home, tenure, accountId } = await held()
    await world.registry.release({ accountId, deviceId, history: 'destroyed' })
    expect(await world.registry.pastDevices(accountId, home.household.householdId)).toEqual([])
    expect(await refusal(world.registry.pastDevice(accountId, tenure.tenureId))).toBe('not_found')
    const { rows } = await world.database.pool.query('select wrapped from keys.wrapped_key where id = $1', [
      tenure.keyId,
    ])
    expect(rows).toEqual([{ wrapped: null }])
  })

  it('is for owners, of the household that holds the device now', async () => {
    const { deviceId, home } = await held()
    const stranger = await world.settle()
    for (const accountId of [await member(home, 'adult'), await member(home, 'guest'), stranger.accountId]) {
      expect(await refusal(world.registry.release({ accountId, deviceId, history: 'kept' }))).toBe(
        'not_found',
      )
    }
  })

  it('is not for an account that was recovered a short while ago, whatever the device', async () => {
    for (const model of ['hearth-lock', 'hearth-plug']) {
      const { deviceId, accountId } = await held(model)
      await world.database.transaction((tx) =>
        world.registry.holdBack(tx, accountId, world.time.nowMs + 60 * MINUTE_MS),
      )
      expect(await refusal(world.registry.release({ accountId, deviceId, history: 'kept' }))).toBe(
        'not_found',
      )
      expect(await refusal(world.registry.offerTransfer({ accountId, deviceId, history: 'kept' }))).toBe(
        'not_found',
      )
    }
  })

  it('that fails in a hook changes nothing at all', async () => {
    const { deviceId, tenure, accountId } = await held()
    const stop = world.registry.beforeTenureEnds(async () => {
      throw new Error('no')
    })
    const heard = await hearing(() =>
      expect(world.registry.release({ accountId, deviceId, history: 'kept' })).rejects.toThrow('no'),
    )
    stop()
    expect(heard).toEqual([])
    expect(await world.registry.currentTenure(deviceId)).toEqual(tenure)
    expect(
      await refusal(world.registry.authorize({ accountId, tenureId: tenure.tenureId, act: 'control' })),
    ).toBe(undefined)
  })

  it('by many at once over two processes happens once', async () => {
    const { deviceId, accountId, home } = await held()
    const second = await world.anotherRegistry()
    const outcomes = await Promise.all(
      [world.registry, second, world.registry, second].map((registry) =>
        refusal(registry.release({ accountId, deviceId, history: 'kept' })),
      ),
    )
    expect(outcomes.sort()).toEqual(['not_found', 'not_found', 'not_found', undefined])
    expect(await kinds(home)).toEqual(['released', 'claimed', 'founded'])
  })
})

describe('another claim', () => {
  it('needs a physical reset: whoever held the device knows the code on its label', async () => {
    const { device, deviceId, home, accountId } = await held()
    await world.registry.release({ accountId, deviceId, history: 'kept' })
    expect(await refusal(claim(home, device))).toBe('claim_refused')
    await world.reset(device)
    expect(await refusal(claim(await world.settle(), device))).toBe(undefined)
  })

  it('that could not be had does not tell by its time whether the device is connected', async () => {
    const { device, home } = await held()
    const asked: unknown[] = []
    const has = vi.spyOn(world.online, 'has').mockImplementation((id) => asked.push(id) > 0)
    await world.reset(device)
    expect(await refusal(claim(await world.settle(), device))).toBe('claim_refused')
    await world.registry.release({ accountId: home.accountId, deviceId: device.deviceId, history: 'kept' })
    expect(await refusal(claim(home, device))).toBe('claim_refused')
    has.mockRestore()
    expect(asked).toEqual([])
  })

  it('comes within a quarter of an hour after the reset', async () => {
    const { device, deviceId, accountId } = await held()
    const next = await world.settle()
    await world.registry.release({ accountId, deviceId, history: 'kept' })
    await world.reset(device)
    world.time.nowMs += 15 * MINUTE_MS + 1
    expect(await refusal(claim(next, device))).toBe('claim_refused')
    await world.reset(device)
    world.time.nowMs += 15 * MINUTE_MS
    expect(await refusal(claim(next, device))).toBe(undefined)
  })

  it('is not opened by a reset from before the release', async () => {
    const { device, deviceId, accountId } = await held('hearth-lock')
    await world.reset(device)
    await world.registry.release({ accountId, deviceId, history: 'kept' })
    expect(await refusal(claim(await world.settle(), device))).toBe('claim_refused')
  })

  it('uses the reset up', async () => {
    const { device, deviceId, accountId } = await held()
    await world.registry.release({ accountId, deviceId, history: 'kept' })
    await world.reset(device)
    const next = await world.settle()
    await claim(next, device)
    const { rows } = await world.database.pool.query(
      'select reset from registry.device where device_id = $1',
      [deviceId],
    )
    expect(rows).toEqual([{ reset: null }])
    await world.registry.release({ accountId: next.accountId, deviceId, history: 'kept' })
    expect(await refusal(claim(next, device))).toBe('claim_refused')
  })
})

describe('a claim code that a device makes at its reset', () => {
  const recordReset = (device: ProvisionedDevice, claimCode?: Secret, messageId: string = newId()) =>
    world.registry.recordReset({ deviceId: device.deviceId, tenure: undefined, messageId, claimCode })
  const shows = (device: ProvisionedDevice, claimCode: Secret) => ({ ...device, claimCode })
  async function released(model?: string) {
    const { device, deviceId, accountId, home } = await held(model)
    await world.registry.release({ accountId, deviceId, history: 'kept' })
    return { device, former: home, next: await world.settle() }
  }

  it('alone opens the next claim: the former household, which knows the label, is too late at once', async () => {
    for (const model of ['hearth-lock', 'hearth-plug']) {
      const { device, former, next } = await released(model)
      const code = freshCode()
      await recordReset(device, code)
      expect(await refusal(claim(former, device))).toBe('claim_refused')
      expect(await refusal(claim(next, shows(device, code)))).toBe(undefined)
    }
  })

  it('is demanded by models that say so: a reset without one opens nothing', async () => {
    const { device, former, next } = await released('hearth-lock')
    await recordReset(device)
    for (const home of [former, next]) expect(await refusal(claim(home, device))).toBe('claim_refused')
  })

  it('is demanded of every device that brought one before', async () => {
    const { device, next } = await released('hearth-plug')
    const [code, later] = [freshCode(), freshCode()]
    await recordReset(device, code)
    await claim(next, shows(device, code))
    const { deviceId } = device
    await world.registry.release({ accountId: next.accountId, deviceId, history: 'kept' })
    await recordReset(device)
    for (const each of [device, shows(device, code)]) {
      expect(await refusal(claim(next, each))).toBe('claim_refused')
    }
    await recordReset(device, later)
    expect(await refusal(claim(next, shows(device, code)))).toBe('claim_refused')
    expect(await refusal(claim(next, shows(device, later)))).toBe(undefined)
  })

  it('takes the place of the label’s before the first claim, too', async () => {
    const device = await world.provisionOne('hearth-plug')
    world.online.add(device.deviceId)
    const code = freshCode()
    await recordReset(device, code)
    const home = await world.settle()
    expect(await refusal(claim(home, device))).toBe('claim_refused')
    expect(await refusal(claim(home, shows(device, code)))).toBe(undefined)
  })

  it('is changed by no repetition of the same reset, and is not another device’s', async () => {
    const { device, next } = await released()
    const other = await world.provisionOne('hearth-lock')
    const code = freshCode()
    await recordReset(device, code, 'once')
    await recordReset(device, freshCode(), 'once')
    expect(await refusal(recordReset(other, code))).toBe('conflict')
    expect(await refusal(claim(next, shows(device, code)))).toBe(undefined)
  })

  it('stands nowhere in plain, and by no length whether there is one', async () => {
    const [{ device }, { device: other }] = [await released('hearth-plug'), await released('hearth-plug')]
    const code = freshCode()
    await recordReset(device, code)
    await recordReset(other)
    const { rows } = await world.database.pool.query(
      'select claim_code_digest, octet_length(reset) as length from registry.device where device_id in ($1, $2)',
      [device.deviceId, other.deviceId],
    )
    for (const row of rows) expect(row.claim_code_digest).toHaveLength(32)
    expect(JSON.stringify(rows)).not.toContain(code.reveal())
    expect(new Set(rows.map((row) => row.length)).size).toBe(1)
  })
})

describe('a reset of a held device', () => {
  it('ends the tenure of a model whose policy is possession', async () => {
    const { device, deviceId, home, accountId } = await held('hearth-plug')
    const heard = await hearing(() => world.reset(device))
    expect(heard).toEqual([{ deviceId, tenure: undefined }])
    const [past] = await world.registry.pastDevices(accountId, home.household.householdId)
    expect(past?.how).toBe('reset')
    expect(await refusal(claim(await world.settle(), device))).toBe(undefined)
    const { entries } = await world.registry.householdLog(accountId, home.household.householdId, { limit: 1 })
    expect(entries[0]?.event).toEqual({ kind: 'device_reset', deviceId, tenureEnded: true })
  })

  it('gives a thief nothing where it must be released, and its household is told, once an hour', async () => {
    const { device, deviceId, home, tenure } = await held('hearth-lock')
    const heard = await hearing(() => world.reset(device))
    expect(heard).toEqual([])
    expect(await world.registry.currentTenure(deviceId)).toEqual(tenure)
    expect(await refusal(claim(await world.settle(), device))).toBe('claim_refused')
    await world.reset(device)
    expect(await kinds(home)).toEqual(['device_reset', 'claimed', 'founded'])
    world.time.nowMs += 61 * MINUTE_MS
    await world.reset(device)
    expect(await kinds(home)).toEqual(['device_reset', 'device_reset', 'claimed', 'founded'])
  })

  it('sent again after the next claim ends nothing, and opens nothing', async () => {
    const { device, deviceId } = await held('hearth-plug')
    await world.reset(device, 'reset-1')
    const next = await world.settle()
    const tenure = await claim(next, device)
    expect(await world.registry.isResetKnown({ deviceId, messageId: 'reset-1' })).toBe(true)
    await world.reset(device, 'reset-1')
    expect(await world.registry.currentTenure(deviceId)).toEqual(tenure)
    await world.registry.release({ accountId: next.accountId, deviceId, history: 'kept' })
    await world.reset(device, 'reset-1')
    expect(await refusal(claim(next, device))).toBe('claim_refused')
  })

  it('said in an earlier tenure does not end the present one', async () => {
    const { deviceId, home, tenure } = await held('hearth-plug')
    const { code } = await world.registry.offerTransfer({
      accountId: home.accountId,
      deviceId,
      history: 'kept',
    })
    const next = await accept(await world.settle(), code)
    const answer = await world.registry.recordReset({ deviceId, tenure, messageId: 'late' })
    expect(answer).toEqual({ tenureEnded: false })
    expect(await world.registry.currentTenure(deviceId)).toEqual(next)
  })

  it('is remembered for the last sixteen only, so that a device fills no disk', async () => {
    const { device, deviceId } = await held('hearth-lock')
    for (let at = 0; at < 20; at++) await world.reset(device, `reset-${at}`)
    const { rows } = await world.database.pool.query(
      'select count(*) from registry.device_reset where device_id = $1',
      [deviceId],
    )
    expect(rows[0].count).toBe(16)
    expect(await world.registry.isResetKnown({ deviceId, messageId: 'reset-19' })).toBe(true)
    expect(await world.registry.isResetKnown({ deviceId, messageId: 'reset-4' })).toBe(true)
    expect(await world.registry.isResetKnown({ deviceId, messageId: 'reset-3' })).toBe(false)
  })
})

describe('a transfer', () => {
  const offer = ({ accountId }: Home, device: ProvisionedDevice, history: 'kept' | 'destroyed' = 'kept') =>
    world.registry.offerTransfer({ accountId, deviceId: device.deviceId, history })

  it('ends one tenure and begins the next in one commit, without a reset and with the device offline', async () => {
    const { device, deviceId, home, tenure, accountId } = await held()
    world.online.delete(deviceId)
    const next = await world.settle()
    const { code, untilMs } = await offer(home, device)
    expect(untilMs).toBe(world.time.nowMs + 24 * 60 * MINUTE_MS)
    expect(await world.registry.transferOffer(accountId, deviceId)).toEqual({ untilMs, history: 'kept' })
    let after: Tenure | undefined
    const heard = await hearing(async () => {
      after = await accept(next, code)
    })
    expect(heard).toEqual([{ deviceId, tenure: after }])
    expect(after).toMatchObject({ deviceId, householdId: next.household.householdId })
    expect(after?.keyId).not.toBe(tenure.keyId)
    expect(await refusal(world.registry.device(accountId, deviceId))).toBe('not_found')
    expect((await world.registry.device(next.accountId, deviceId)).nickname).toBeUndefined()
    const [past] = await world.registry.pastDevices(accountId, home.household.householdId)
    expect(past?.how).toBe('transferred')
    expect(await kinds(home)).toEqual(['transferred_away', 'transfer_offered', 'claimed', 'founded'])
    expect(await kinds(next)).toEqual(['received', 'founded'])
  })

  it('destroys the history when the offer says so', async () => {
    const { device, home, tenure } = await held()
    const { code } = await offer(home, device, 'destroyed')
    await accept(await world.settle(), code)
    expect(await refusal(world.registry.pastDevice(home.accountId, tenure.tenureId))).toBe('not_found')
  })

  it('is refused alike for a code that is unknown, none, used, expired, cancelled or replaced', async () => {
    const next = await world.settle()
    const [used, expired, cancelled, replaced] = [await held(), await held(), await held(), await held()]
    const codes: Secret[] = [new Secret('0000-0000-0000-0000'), new Secret('x'), used.device.claimCode]
    const usedOffer = await offer(used.home, used.device)
    await accept(next, usedOffer.code)
    codes.push(usedOffer.code, (await offer(expired.home, expired.device)).code)
    world.time.nowMs += 24 * 60 * MINUTE_MS
    codes.push((await offer(cancelled.home, cancelled.device)).code)
    await world.registry.cancelTransfer(cancelled.accountId, cancelled.deviceId)
    codes.push((await offer(replaced.home, replaced.device)).code)
    const newest = await offer(replaced.home, replaced.device)
    for (const [at, code] of codes.entries()) {
      expect([at, await refusal(accept(next, code))]).toEqual([at, 'code_refused'])
    }
    expect(await refusal(accept(next, newest.code))).toBe(undefined)
  })

  it('dies with the tenure and with the right of whoever offered it', async () => {
    const released = await held()
    const { code } = await offer(released.home, released.device)
    const { accountId, deviceId } = released
    await world.registry.release({ accountId, deviceId, history: 'kept' })
    expect(await refusal(accept(await world.settle(), code))).toBe('code_refused')
    const { rows } = await world.database.pool.query(
      'select count(*) from registry.transfer_offer where tenure_id = $1',
      [released.tenure.tenureId],
    )
    expect(rows[0].count).toBe(0)

    const left = await held()
    const second = await member(left.home, 'owner')
    const offered = await world.registry.offerTransfer({
      accountId: second,
      deviceId: left.deviceId,
      history: 'kept',
    })
    await world.database.pool.query('delete from registry.member where account_id = $1', [second])
    expect(await refusal(accept(await world.settle(), offered.code))).toBe('code_refused')
    expect(await world.registry.currentTenure(left.deviceId)).toEqual(left.tenure)
  })

  it('does not go to the household that has the device, nor into one that the account may not configure', async () => {
    const { device, deviceId, home, tenure } = await held()
    const { code } = await offer(home, device)
    expect(await refusal(accept(home, code))).toBe('conflict')
    const next = await world.settle()
    const outsider = { ...next, accountId: home.accountId }
    expect(await refusal(accept(outsider, code))).toBe('not_found')
    const guest = { ...next, accountId: await member(next, 'guest') }
    expect(await refusal(accept(guest, code))).toBe('not_found')
    expect(await world.registry.currentTenure(deviceId)).toEqual(tenure)
  })

  it('is offered by owners only, and its code stands nowhere in plain', async () => {
    const { device, deviceId, home } = await held()
    const adult = await member(home, 'adult')
    const asked = { accountId: adult, deviceId, history: 'kept' } as const
    expect(await refusal(world.registry.offerTransfer(asked))).toBe('not_found')
    expect(await refusal(world.registry.transferOffer(adult, deviceId))).toBe('not_found')
    const { code } = await offer(home, device)
    expect(await refusal(world.registry.cancelTransfer(adult, deviceId))).toBe('not_found')
    const { rows } = await world.database.pool.query('select t::text from registry.transfer_offer t')
    const plain = code.reveal().replaceAll('-', '')
    expect(JSON.stringify(rows)).not.toContain(Buffer.from(plain).toString('hex'))
    expect(JSON.stringify(rows)).not.toContain(plain)
  })

  it('is neither offered nor taken back by an owner who is demoted at that moment', async () => {
    const { device, deviceId, home } = await held()
    const outcomes = await whileDemoted(home, 'adult', () => [
      offer(home, device),
      world.registry.cancelTransfer(home.accountId, deviceId),
    ])
    expect(outcomes).toEqual(['not_found', 'not_found'])
  })

  it('tells by the length of no row what becomes of the history', async () => {
    const [kept, destroyed] = [await held(), await held()]
    await offer(kept.home, kept.device)
    await offer(destroyed.home, destroyed.device, 'destroyed')
    const { rows } = await world.database.pool.query(
      'select distinct octet_length(terms) from registry.transfer_offer',
    )
    expect(rows).toHaveLength(1)
  })

  it('raced by many households gives the device to exactly one', async () => {
    const { device, deviceId, home } = await held()
    const { code } = await offer(home, device)
    const second = await world.anotherRegistry()
    const homes = await Promise.all(Array.from({ length: 6 }, () => world.settle()))
    const outcomes = await Promise.all(
      homes.map(({ accountId, household: { householdId } }, at) =>
        refusal((at % 2 ? second : world.registry).acceptTransfer({ accountId, householdId, code })),
      ),
    )
    expect(outcomes.filter((outcome) => outcome === undefined)).toHaveLength(1)
    expect(new Set(outcomes)).toEqual(new Set([undefined, 'code_refused']))
    const { rows } = await world.database.pool.query(
      'select count(*) from registry.tenure where device_id = $1',
      [deviceId],
    )
    expect(rows[0].count).toBe(2)
  })

  it('to and fro at once waits for nobody for ever', async () => {
    const [one, two] = [await held(), await held()]
    const there = await offer(one.home, one.device)
    const back = await offer(two.home, two.device)
    const outcomes = await Promise.all([
      refusal(accept(two.home, there.code)),
      refusal(accept(one.home, back.code)),
    ])
    expect(outcomes).toEqual([undefined, undefined])
  })
})

describe('what a tenure left', () => {
  it('is destroyed by its owner and with its household at once, and neither waits for the other for ever', async () => {
    const { deviceId, home, tenure, accountId } = await held()
    await world.registry.release({ accountId, deviceId, history: 'kept' })
    const { householdId } = home.household
    // As an erasure that has its household and comes to its tenures.
    const client = await world.database.pool.connect()
    await client.query('begin')
    await client.query('select from registry.household where household_id = $1 for update', [householdId])
    const outcome = refusal(world.registry.destroyHistory(accountId, tenure.tenureId))
    await waiting(1)
    await client.query("set local lock_timeout = '2s'")
    await client.query('select from registry.tenure where tenure_id = $1 for update', [tenure.tenureId])
    await client.query('commit')
    client.release()
    expect(await outcome).toBe(undefined)
  })

  it('is its own household’s to read, and its owners’ to destroy', async () => {
    const { deviceId, home, tenure, accountId } = await held()
    const { tenureId } = tenure
    expect(await refusal(world.registry.pastDevice(accountId, tenureId))).toBe('not_found')
    expect(await refusal(world.registry.destroyHistory(accountId, tenureId))).toBe('not_found')
    await world.registry.release({ accountId, deviceId, history: 'kept' })
    const adult = await member(home, 'adult')
    const guest = await member(home, 'guest')
    const stranger = (await world.settle()).accountId
    expect(await refusal(world.registry.pastDevice(adult, tenureId))).toBe(undefined)
    for (const other of [guest, stranger]) {
      expect(await refusal(world.registry.pastDevice(other, tenureId))).toBe('not_found')
      expect(await refusal(world.registry.pastDevices(other, home.household.householdId))).toBe('not_found')
    }
    for (const other of [adult, guest, stranger]) {
      expect(await refusal(world.registry.destroyHistory(other, tenureId))).toBe('not_found')
    }
    await world.registry.destroyHistory(accountId, tenureId)
    expect(await refusal(world.registry.pastDevice(accountId, tenureId))).toBe('not_found')
    expect(await refusal(world.registry.destroyHistory(accountId, tenureId))).toBe('not_found')
    expect(await kinds(home)).toEqual(['history_destroyed', 'released', 'claimed', 'founded'])
  })
})
