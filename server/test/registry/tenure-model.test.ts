import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type AccountId, type HouseholdId, newId, Personal, type TenureId } from '../../src/core/index.ts'
import type { Act, MemberRole, ProvisionedDevice } from '../../src/registry/index.ts'
import { createWorld, definition, refusal, type World } from './world.ts'

/** The rules once more, in a few maps: what every step must do beside the real registry. */
interface Reference {
  roles: Map<string, MemberRole>
  online: Set<number>
  held: Map<number, { home: number; tenureId: TenureId; nickname: string | undefined }>
  former: { tenureId: TenureId; home: number }[]
}

interface Real {
  world: World
  accounts: AccountId[]
  homes: HouseholdId[]
  devices: ProvisionedDevice[]
}

const COUNT = { accounts: 4, homes: 3, devices: 3 }
const ALLOWED: Record<MemberRole, Act[]> = {
  owner: ['view', 'control', 'configure', 'manage'],
  adult: ['view', 'control', 'configure'],
  guest: [],
}

const may = (model: Reference, account: number, home: number, act: Act) => {
  const role = model.roles.get(`${account} ${home}`)
  return role !== undefined && ALLOWED[role].includes(act)
}

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

type Step = fc.AsyncCommand<Reference, Real>
const step = (text: string, run: (model: Reference, real: Real) => Promise<void>): Step => ({
  check: () => true,
  run,
  toString: () => text,
})

const account = fc.nat(COUNT.accounts - 1)
const home = fc.nat(COUNT.homes - 1)
const device = fc.nat(COUNT.devices - 1)
const act = fc.constantFrom<Act>('view', 'control', 'configure', 'manage')

const at = <T>(list: readonly T[], index: number) => list[index] as T

const steps = [
  fc
    .tuple(account, home, fc.constantFrom<MemberRole | undefined>('owner', 'adult', 'guest', undefined))
    .map(([a, h, role]) =>
      step(`member ${a} of ${h} is ${role}`, async (model, { homes, accounts }) => {
        const ids = [at(homes, h), at(accounts, a)]
        await world.database.pool.query(
          'delete from registry.member where household_id = $1 and account_id = $2',
          ids,
        )
        model.roles.delete(`${a} ${h}`)
        if (role === undefined) return
        await world.database.pool.query('insert into registry.member values ($1, $2, $3)', [...ids, role])
        model.roles.set(`${a} ${h}`, role)
      }),
    ),
  fc.tuple(device, fc.boolean()).map(([d, on]) =>
    step(`device ${d} ${on ? 'on' : 'off'}`, async (model, { devices }) => {
      model.online[on ? 'add' : 'delete'](d)
      world.online[on ? 'add' : 'delete'](at(devices, d).deviceId)
    }),
  ),
  fc
    .tuple(account, home, device, fc.option(fc.stringMatching(/^[a-z]{1,8}$/), { nil: undefined }))
    .map(([a, h, d, name]) =>
      step(`${a} claims ${d} for ${h}`, async (model, { accounts, homes, devices }) => {
        const outcome = await world.registry
          .claim({
            accountId: at(accounts, a),
            householdId: at(homes, h),
            code: at(devices, d).claimCode,
            nickname: name === undefined ? undefined : new Personal(name),
          })
          .catch((error: { code: string }) => error.code)
        const expected = !may(model, a, h, 'configure')
          ? 'not_found'
          : model.held.has(d) || !model.online.has(d)
            ? 'claim_refused'
            : undefined
        if (expected !== undefined) return expect(outcome).toBe(expected)
        expect(outcome).toMatchObject({ deviceId: at(devices, d).deviceId, householdId: at(homes, h) })
        const { tenureId } = outcome as { tenureId: TenureId }
        model.held.set(d, { home: h, tenureId, nickname: name })
      }),
    ),
  fc.tuple(account, device, fc.stringMatching(/^[a-z]{1,8}$/)).map(([a, d, name]) =>
    step(`${a} renames ${d}`, async (model, { accounts, devices }) => {
      const outcome = await refusal(
        world.registry.renameDevice(at(accounts, a), at(devices, d).deviceId, new Personal(name)),
      )
      const held = model.held.get(d)
      const allowed = held !== undefined && may(model, a, held.home, 'configure')
      expect(outcome).toBe(allowed ? undefined : 'not_found')
      if (allowed) held.nickname = name
    }),
  ),
  device.map((d) =>
    step(`the tenure of ${d} ends, and it is reset`, async (model, { devices }) => {
      await world.database.pool.query(
        'update registry.tenure set ended_hour = started_hour where device_id = $1 and ended_hour is null',
        [at(devices, d).deviceId],
      )
      await world.reset(at(devices, d))
      const held = model.held.get(d)
      if (held) model.former.push(held)
      model.held.delete(d)
    }),
  ),
  fc.tuple(account, device, act).map(([a, d, doing]) =>
    step(`${a} would ${doing} ${d}`, async (model, { accounts, devices }) => {
      const held = model.held.get(d)
      const current = await world.registry.currentTenure(at(devices, d).deviceId)
      expect(current?.tenureId).toBe(held?.tenureId)
      for (const { tenureId } of model.former) {
        expect(
          await refusal(world.registry.authorize({ accountId: at(accounts, a), tenureId, act: doing })),
        ).toBe('not_found')
      }
      const outcome =
        held &&
        (await refusal(
          world.registry.authorize({ accountId: at(accounts, a), tenureId: held.tenureId, act: doing }),
        ))
      if (held) expect(outcome).toBe(may(model, a, held.home, doing) ? undefined : 'not_found')
    }),
  ),
  fc.tuple(account, home).map(([a, h]) =>
    step(`${a} looks at ${h}`, async (model, { accounts, homes, devices }) => {
      const seen = await world.registry
        .devices(at(accounts, a), at(homes, h))
        .catch((error: { code: string }) => error.code)
      if (!may(model, a, h, 'view')) return expect(seen).toBe('not_found')
      const expected = [...model.held]
        .filter(([, held]) => held.home === h)
        .map(([d, held]) => [at(devices, d).deviceId, held.nickname])
      const names = (seen as Awaited<ReturnType<World['registry']['devices']>>).map((each) => [
        each.deviceId,
        each.nickname?.reveal(),
      ])
      expect(names.sort()).toEqual(expected.sort())
    }),
  ),
]

it('claims, names and authority agree with the reference over any sequence of steps', async () => {
  const { id: modelId } = await world.registry.addModel(definition('hearth-lock'))
  const property = fc.asyncProperty(fc.commands(steps, { maxCommands: 40 }), async (commands) => {
    const setup = async () => {
      const accounts = Array.from({ length: COUNT.accounts }, () => newId<AccountId>())
      const devices = await world.registry.provision({ modelId, count: COUNT.devices })
      const homes: HouseholdId[] = []
      const model: Reference = { roles: new Map(), online: new Set(), held: new Map(), former: [] }
      for (let h = 0; h < COUNT.homes; h++) {
        const household = await world.registry.createHousehold(at(accounts, h), {
          name: new Personal(`home ${h}`),
        })
        homes.push(household.householdId)
        model.roles.set(`${h} ${h}`, 'owner')
      }
      // Switched on at first, else few sequences would get to a claim.
      for (const [d, each] of devices.entries()) {
        model.online.add(d)
        world.online.add(each.deviceId)
      }
      return { model, real: { world, accounts, homes, devices } }
    }
    const { model, real } = await setup()
    await fc.asyncModelRun(() => ({ model, real }), commands)
  })
  await fc.assert(property, { numRuns: 40 })
}, 180_000)
