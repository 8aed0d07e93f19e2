import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  type AccountId,
  type DeviceId,
  type HouseholdId,
  newId,
  Personal,
  Secret,
  type TenureId,
} from '../../src/core/index.ts'
import type { Act, MemberRole, ProvisionedDevice, TenureChange } from '../../src/registry/index.ts'
import { createWorld, refusal, START_MS, type World } from './world.ts'

let world: World
let device: ProvisionedDevice
beforeAll(async () => {
  world = await createWorld()
})
beforeEach(async () => {
  device = await world.provisionOne('hearth-lock')
  world.online.add(device.deviceId)
})
afterAll(() => world.close())

async function addMember(householdId: HouseholdId, role: MemberRole): Promise<AccountId> {
  const accountId = newId<AccountId>()
  await world.database.pool.query('insert into registry.member values ($1, $2, $3)', [
    householdId,
    accountId,
    role,
  ])
  return accountId
}

async function tenureKeys(): Promise<number> {
  const { rows } = await world.database.pool.query(
    "select count(*) from keys.wrapped_key where kind = 'tenure'",
  )
  return rows[0].count
}

const nobody = () => newId<AccountId>()

describe('a household', () => {
  it('belongs to the account that made it, under its name', async () => {
    const { accountId, household } = await world.settle('  Casa Ñandú 🏠 ')
    expect(household.role).toBe('owner')
    const [found] = await world.registry.households(accountId)
    expect(found?.name.reveal()).toBe('Casa Ñandú 🏠')
    expect((await world.registry.household(accountId, household.householdId)).name.reveal()).toBe(
      'Casa Ñandú 🏠',
    )
  })

  it('is out of sight for everybody else', async () => {
    const { household } = await world.settle()
    expect(await refusal(world.registry.household(nobody(), household.householdId))).toBe('not_found')
    expect(await refusal(world.registry.household(nobody(), newId<HouseholdId>()))).toBe('not_found')
    expect(await world.registry.households(nobody())).toEqual([])
    expect(await refusal(world.registry.devices(nobody(), household.householdId))).toBe('not_found')
  })

  it('is out of sight for a guest, who acts by grants and has none', async () => {
    const { household } = await world.settle()
    const guest = await addMember(household.householdId, 'guest')
    expect(await refusal(world.registry.household(guest, household.householdId))).toBe('not_found')
    expect(await world.registry.households(guest)).toEqual([])
    const adult = await addMember(household.householdId, 'adult')
    expect((await world.registry.households(adult)).map((each) => each.role)).toEqual(['adult'])
  })

  it('has a name of 1 to 80 characters without control characters', async () => {
    const accountId = nobody()
    for (const name of [
      '',
      '   ',
      'x'.repeat(81),
      'a\nb',
      'a\u0000b',
      'a\u2028b',
      '\ud800',
      'x'.repeat(100_000),
    ]) {
      expect(await refusal(world.registry.createHousehold(accountId, { name: new Personal(name) }))).toBe(
        'invalid_request',
      )
    }
    for (const name of ['x', 'é'.repeat(80), '👨‍👩‍👧'.repeat(16)]) {
      expect(
        await refusal(world.registry.createHousehold(accountId, { name: new Personal(name) })),
      ).toBeUndefined()
    }
  })

  it('is one of at most twenty', async () => {
    const accountId = nobody()
    for (let made = 0; made < 20; made++)
      await world.registry.createHousehold(accountId, { name: new Personal('x') })
    expect(await refusal(world.registry.createHousehold(accountId, { name: new Personal('x') }))).toBe(
      'conflict',
    )
  })

  it('whose name was copied from another does not open', async () => {
    const [mine, yours] = [await world.settle('Mine'), await world.settle('Yours')]
    await world.database.pool.query(
      'update registry.household set name = (select name from registry.household where household_id = $1) where household_id = $2',
      [yours.household.householdId, mine.household.householdId],
    )
    expect(await refusal(world.registry.household(mine.accountId, mine.household.householdId))).toBe(
      'integrity_failed',
    )
  })
})

describe('a claim', () => {
  it('starts a tenure and tells it after the commit', async () => {
    const { accountId, household } = await world.settle()
    const heard: TenureChange[] = []
    const seenCommitted: Promise<unknown>[] = []
    const stop = world.registry.onTenureChange((change) => {
      heard.push(change)
      seenCommitted.push(world.registry.currentTenure(change.deviceId))
    })
    const tenure = await world.registry.claim({
      accountId,
      householdId: household.householdId,
      code: device.claimCode,
      nickname: new Personal('Front door'),
    })
    stop()
    expect(heard).toEqual([{ deviceId: device.deviceId, tenure }])
    expect(await Promise.all(seenCommitted)).toEqual([tenure])
    expect(tenure).toMatchObject({ deviceId: device.deviceId, householdId: household.householdId })
    expect(tenure.startedHourMs).toBe(Date.parse('2026-03-01T12:00:00Z'))
    expect(tenure.startedHourMs).toBeLessThanOrEqual(START_MS)
    const [held] = await world.registry.devices(accountId, household.householdId)
    expect(held?.nickname?.reveal()).toBe('Front door')
    expect(held?.model.name).toBe('hearth-lock')
    expect(await world.registry.device(accountId, device.deviceId)).toMatchObject({
      tenureId: tenure.tenureId,
    })
  })

  it('goes through although a listener fails, and the other listeners hear of it', async () => {
    const { accountId, household } = await world.settle()
    let heard = 0
    const stops = [
      world.registry.onTenureChange(() => {
        throw new Error('no')
      }),
      world.registry.onTenureChange(() => heard++),
    ]
    await world.registry.claim({ accountId, householdId: household.householdId, code: device.claimCode })
    for (const stop of stops) stop()
    expect(heard).toBe(1)
  })

  it('takes the code however it was typed or scanned', async () => {
    const spellings: ((plain: string) => string)[] = [
      (plain) => plain.toLowerCase(),
      (plain) => ` ${plain.replace(/(..)/g, '$1 ')}`,
      (plain) => `HEARTH:1:${plain}`,
      (plain) => plain.replaceAll('1', 'l').replaceAll('0', 'O'),
    ]
    for (const spell of spellings) {
      const spelling = spell(device.claimCode.reveal().replaceAll('-', ''))
      const { accountId, household } = await world.settle()
      const fresh = { accountId, householdId: household.householdId, code: new Secret(spelling) }
      expect([spelling.length, await refusal(world.registry.claim(fresh))]).toEqual([
        spelling.length,
        undefined,
      ])
      await world.registry.release({ accountId, deviceId: device.deviceId, history: 'destroyed' })
      await world.reset(device)
    }
  })

  it('is refused alike for an unknown code, no code, a held device, one offline and one disabled', async () => {
    const { accountId, household } = await world.settle()
    const { householdId } = household
    const [held, offline, disabled] = [
      await world.provisionOne('hearth-bulb'),
      await world.provisionOne('hearth-bulb'),
      await world.provisionOne('hearth-bulb'),
    ]
    world.online.add(held.deviceId).add(disabled.deviceId)
    await world.registry.claim({ accountId, householdId, code: held.claimCode })
    await world.database.pool.query('update registry.device set disabled = true where device_id = $1', [
      disabled.deviceId,
    ])
    const codes = [
      held.claimCode,
      offline.claimCode,
      disabled.claimCode,
      ...['0000-0000-0000-0000', '', 'x', 'U'.repeat(16), '0'.repeat(10_000)].map((code) => new Secret(code)),
    ]
    const outcomes = await Promise.allSettled(
      codes.map((code) => world.registry.claim({ accountId, householdId, code })),
    )
    const errors = outcomes.map((outcome) =>
      outcome.status === 'rejected'
        ? `${outcome.reason.code} ${outcome.reason.message} ${outcome.reason.detail}`
        : 'claimed',
    )
    expect(new Set(errors).size).toBe(1)
    expect(errors[0]).toMatch(/^claim_refused /)
    const elsewhere = await world.settle()
    expect(
      await refusal(
        world.registry.claim({
          ...elsewhere,
          householdId: elsewhere.household.householdId,
          code: held.claimCode,
        }),
      ),
    ).toBe('claim_refused')
  })

  it('is for owners and adults of the household; for others the household is not there, whatever the code', async () => {
    const { household } = await world.settle()
    const { householdId } = household
    const guest = await addMember(householdId, 'guest')
    for (const accountId of [guest, nobody()]) {
      for (const code of [device.claimCode, new Secret('x'), new Secret('0000-0000-0000-0000')]) {
        expect(await refusal(world.registry.claim({ accountId, householdId, code }))).toBe('not_found')
      }
    }
    expect(
      await refusal(
        world.registry.claim({
          accountId: nobody(),
          householdId: newId<HouseholdId>(),
          code: device.claimCode,
        }),
      ),
    ).toBe('not_found')
    const adult = await addMember(householdId, 'adult')
    expect(
      await refusal(world.registry.claim({ accountId: adult, householdId, code: device.claimCode })),
    ).toBeUndefined()
  })

  it('with a nickname that is none takes nothing', async () => {
    const { accountId, household } = await world.settle()
    const request = { accountId, householdId: household.householdId, code: device.claimCode }
    expect(await refusal(world.registry.claim({ ...request, nickname: new Personal('a\tb') }))).toBe(
      'invalid_request',
    )
    expect(await world.registry.currentTenure(device.deviceId)).toBeUndefined()
  })

  it('of one device by many at once succeeds exactly once', async () => {
    const second = await world.anotherRegistry()
    await second.start()
    const homes = await Promise.all(Array.from({ length: 16 }, () => world.settle()))
    const keysBefore = await tenureKeys()
    const heard: TenureChange[] = []
    const stops = [world.registry, second].map((registry) =>
      registry.onTenureChange((change) => heard.push(change)),
    )
    const outcomes = await Promise.allSettled(
      [...homes, ...homes].map(({ accountId, household }, at) =>
        (at % 2 ? second : world.registry).claim({
          accountId,
          householdId: household.householdId,
          code: device.claimCode,
        }),
      ),
    )
    for (const stop of stops) stop()
    const won = outcomes.filter((outcome) => outcome.status === 'fulfilled')
    expect(won.length).toBe(1)
    const lost = outcomes
      .filter((outcome) => outcome.status === 'rejected')
      .map((outcome) => outcome.reason.code)
    expect(new Set(lost)).toEqual(new Set(['claim_refused']))
    expect(await world.registry.currentTenure(device.deviceId)).toEqual(won[0]?.value)
    expect(heard).toEqual([{ deviceId: device.deviceId, tenure: won[0]?.value }])
    const { rows } = await world.database.pool.query(
      'select count(*) from registry.tenure where device_id = $1',
      [device.deviceId],
    )
    expect(rows[0].count).toBe(1)
    // The losers' keys went with their transactions.
    expect(await tenureKeys()).toBe(keysBefore + 1)
  })

  it('of two devices at once by one household gives it both', async () => {
    const { accountId, household } = await world.settle()
    const devices = await Promise.all([1, 2, 3, 4].map(() => world.provisionOne('hearth-plug')))
    for (const each of devices) world.online.add(each.deviceId)
    await Promise.all(
      devices.map((each) =>
        world.registry.claim({ accountId, householdId: household.householdId, code: each.claimCode }),
      ),
    )
    expect(await world.registry.devices(accountId, household.householdId)).toHaveLength(4)
  })

  it('cannot start a second tenure even when the code above is mistaken', async () => {
    const { accountId, household } = await world.settle()
    await world.registry.claim({ accountId, householdId: household.householdId, code: device.claimCode })
    const twin = world.database.pool.query(
      'insert into registry.tenure select gen_random_uuid(), device_id, household_id, key_id, null, started_hour, null from registry.tenure where device_id = $1',
      [device.deviceId],
    )
    expect(await refusal(twin)).toBe('23505')
  })
})

describe('authority over a device', () => {
  const acts: Act[] = ['view', 'control', 'configure', 'manage']

  async function held() {
    const { accountId, household } = await world.settle()
    const tenure = await world.registry.claim({
      accountId,
      householdId: household.householdId,
      code: device.claimCode,
    })
    return { accountId, household, tenure }
  }

  it.each<[MemberRole, Act[]]>([
    ['owner', ['view', 'control', 'configure', 'manage']],
    ['adult', ['view', 'control', 'configure']],
    ['guest', []],
  ])('of a member who is %s: %j', async (role, allowed) => {
    const { household, tenure } = await held()
    const accountId = await addMember(household.householdId, role)
    for (const act of acts) {
      const outcome = await refusal(world.registry.authorize({ accountId, tenureId: tenure.tenureId, act }))
      expect([act, outcome]).toEqual([act, allowed.includes(act) ? undefined : 'not_found'])
    }
    const sees = await refusal(world.registry.device(accountId, device.deviceId))
    expect(sees).toBe(allowed.includes('view') ? undefined : 'not_found')
    expect(await refusal(world.registry.devices(accountId, household.householdId))).toBe(sees)
    const renames = await refusal(world.registry.renameDevice(accountId, device.deviceId, new Personal('x')))
    expect(renames).toBe(allowed.includes('configure') ? undefined : 'not_found')
  })

  it('is nobody else’s, and for no act that is not one', async () => {
    const { accountId, tenure } = await held()
    const neighbour = await world.settle()
    for (const act of acts) {
      expect(
        await refusal(
          world.registry.authorize({ accountId: neighbour.accountId, tenureId: tenure.tenureId, act }),
        ),
      ).toBe('not_found')
      expect(await refusal(world.registry.authorize({ accountId, tenureId: newId<TenureId>(), act }))).toBe(
        'not_found',
      )
    }
    for (const act of ['', 'length', 'constructor', 'own'] as string[] as Act[]) {
      expect(await refusal(world.registry.authorize({ accountId, tenureId: tenure.tenureId, act }))).toBe(
        'not_found',
      )
    }
    expect(await refusal(world.registry.device(neighbour.accountId, device.deviceId))).toBe('not_found')
    expect(
      await refusal(world.registry.renameDevice(neighbour.accountId, device.deviceId, new Personal('x'))),
    ).toBe('not_found')
  })

  it('ends with the tenure, and with the membership', async () => {
    const { accountId, household, tenure } = await held()
    const adult = await addMember(household.householdId, 'adult')
    expect(
      await refusal(world.registry.authorize({ accountId: adult, tenureId: tenure.tenureId, act: 'view' })),
    ).toBeUndefined()
    await world.database.pool.query('delete from registry.member where account_id = $1', [adult])
    expect(
      await refusal(world.registry.authorize({ accountId: adult, tenureId: tenure.tenureId, act: 'view' })),
    ).toBe('not_found')
    await world.registry.release({ accountId, deviceId: device.deviceId, history: 'kept' })
    for (const act of acts) {
      expect(await refusal(world.registry.authorize({ accountId, tenureId: tenure.tenureId, act }))).toBe(
        'not_found',
      )
    }
    expect(await refusal(world.registry.device(accountId, device.deviceId))).toBe('not_found')
    expect(await refusal(world.registry.renameDevice(accountId, device.deviceId, new Personal('x')))).toBe(
      'not_found',
    )
    expect(await world.registry.devices(accountId, household.householdId)).toEqual([])
    expect(await world.registry.currentTenure(device.deviceId)).toBeUndefined()
    // And another household may hold the device next.
    const next = await world.settle()
    await world.reset(device)
    const tenureOfNext = await world.registry.claim({
      accountId: next.accountId,
      householdId: next.household.householdId,
      code: device.claimCode,
    })
    expect(tenureOfNext.keyId).not.toBe(tenure.keyId)
    expect(
      await refusal(world.registry.authorize({ accountId, tenureId: tenureOfNext.tenureId, act: 'view' })),
    ).toBe('not_found')
  })

  it('covers the nickname, which opens in its own tenure only', async () => {
    const { accountId, tenure } = await held()
    await world.registry.renameDevice(accountId, device.deviceId, new Personal(' Back door '))
    expect((await world.registry.device(accountId, device.deviceId)).nickname?.reveal()).toBe('Back door')
    expect(await refusal(world.registry.renameDevice(accountId, device.deviceId, new Personal('')))).toBe(
      'invalid_request',
    )
    const other = await world.provisionOne('hearth-plug')
    world.online.add(other.deviceId)
    const neighbour = await world.settle()
    await world.registry.claim({
      accountId: neighbour.accountId,
      householdId: neighbour.household.householdId,
      code: other.claimCode,
      nickname: new Personal('Heater'),
    })
    await world.database.pool.query(
      'update registry.tenure set nickname = (select nickname from registry.tenure where device_id = $1) where tenure_id = $2',
      [other.deviceId, tenure.tenureId],
    )
    expect(await refusal(world.registry.device(accountId, device.deviceId))).toBe('integrity_failed')
  })

  it('of a device that nobody ever made is nobody’s', async () => {
    expect(await world.registry.currentTenure(newId<DeviceId>())).toBeUndefined()
    expect(await refusal(world.registry.device(nobody(), newId<DeviceId>()))).toBe('not_found')
  })
})
