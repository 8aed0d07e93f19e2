import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  type AccountId,
  type DisputeId,
  type HouseholdId,
  newId,
  Personal,
  Secret,
  type TenureId,
} from '../../src/core/index.ts'
import type { Act, ProvisionedDevice, Registry } from '../../src/registry/index.ts'
import { createWorld, freshCode, type World } from './world.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
const acts: Act[] = ['view', 'control', 'configure', 'manage', 'history']

/** One device's life once more, in a few variables. Home h belongs to account h; nobody else is in it. */
interface Life {
  possession: boolean
  holder: number | undefined
  tenureId: TenureId | undefined
  heldBefore: boolean
  resetAtMs: number | undefined
  offer: { code: Secret; untilMs: number; history: 'kept' | 'destroyed' } | undefined
  dispute: { id: DisputeId; dueAtMs: number; objected: boolean } | undefined
  former: { tenureId: TenureId; home: number; history: 'kept' | 'destroyed' }[]
  resetIds: string[]
  usedCodes: Secret[]
}

interface Model {
  nowMs: number
  lives: Life[]
}

interface Real {
  registries: [Registry, Registry]
  accounts: AccountId[]
  homes: HouseholdId[]
  devices: ProvisionedDevice[]
  opener: AccountId
}

const COUNT = { homes: 3, devices: 2 }
let world: World
let second: Registry
beforeAll(async () => {
  world = await createWorld()
  second = await world.anotherRegistry()
})
afterAll(() => world.close())

type Step = fc.AsyncCommand<Model, Real>
const step = (text: string, run: (model: Model, real: Real) => Promise<void>): Step => ({
  check: () => true,
  run,
  toString: () => text,
})
const at = <T>(list: readonly T[], index: number) => list[index] as T
const outcome = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: { code?: string }) => error.code ?? String(error),
  )

function end(life: Life, history: 'kept' | 'destroyed'): void {
  life.former.push({ tenureId: life.tenureId as TenureId, home: life.holder as number, history })
  if (life.offer) life.usedCodes.push(life.offer.code)
  Object.assign(life, { holder: undefined, tenureId: undefined, offer: undefined, dispute: undefined })
}

function begin(life: Life, home: number, tenureId: TenureId): void {
  Object.assign(life, { holder: home, tenureId, heldBefore: true, resetAtMs: undefined })
}

const home = fc.nat(COUNT.homes - 1)
const device = fc.nat(COUNT.devices - 1)
const which = fc.nat(1)
const history = fc.constantFrom<'kept' | 'destroyed'>('kept', 'destroyed')

const steps = [
  fc.tuple(home, device, which).map(([h, d, r]) =>
    step(`${h} claims ${d}`, async (model, real) => {
      const life = at(model.lives, d)
      const fresh = life.resetAtMs !== undefined && model.nowMs - life.resetAtMs <= 15 * MINUTE_MS
      const allowed = life.holder === undefined && (!life.heldBefore || fresh)
      const claimed = at(real.registries, r).claim({
        accountId: at(real.accounts, h),
        householdId: at(real.homes, h),
        code: at(real.devices, d).claimCode,
      })
      expect(await outcome(claimed)).toBe(allowed ? undefined : 'claim_refused')
      if (allowed) begin(life, h, (await claimed).tenureId)
    }),
  ),
  fc.tuple(home, device, history, which).map(([h, d, choice, r]) =>
    step(`${h} releases ${d}, ${choice}`, async (model, real) => {
      const life = at(model.lives, d)
      const released = at(real.registries, r).release({
        accountId: at(real.accounts, h),
        deviceId: at(real.devices, d).deviceId,
        history: choice,
      })
      expect(await outcome(released)).toBe(life.holder === h ? undefined : 'not_found')
      if (life.holder !== h) return
      end(life, choice)
      life.resetAtMs = undefined
    }),
  ),
  fc.tuple(home, device, history, which).map(([h, d, choice, r]) =>
    step(`${h} offers ${d}, ${choice}`, async (model, real) => {
      const life = at(model.lives, d)
      const offered = at(real.registries, r).offerTransfer({
        accountId: at(real.accounts, h),
        deviceId: at(real.devices, d).deviceId,
        history: choice,
      })
      expect(await outcome(offered)).toBe(life.holder === h ? undefined : 'not_found')
      if (life.holder !== h) return
      if (life.offer) life.usedCodes.push(life.offer.code)
      const { code, untilMs } = await offered
      life.offer = { code, untilMs, history: choice }
    }),
  ),
  fc.tuple(home, device).map(([h, d]) =>
    step(`${h} cancels the offer of ${d}`, async (model, real) => {
      const life = at(model.lives, d)
      const cancelled = at(real.registries, 0).cancelTransfer(
        at(real.accounts, h),
        at(real.devices, d).deviceId,
      )
      expect(await outcome(cancelled)).toBe(life.holder === h ? undefined : 'not_found')
      if (life.holder !== h || !life.offer) return
      life.usedCodes.push(life.offer.code)
      life.offer = undefined
    }),
  ),
  fc.tuple(home, device, fc.boolean(), which).map(([h, d, stale, r]) =>
    step(`${h} accepts ${stale ? 'an old offer of' : ''} ${d}`, async (model, real) => {
      const life = at(model.lives, d)
      const code = (stale ? life.usedCodes.at(-1) : life.offer?.code) ?? new Secret('0000-0000-0000-0000')
      const accepted = at(real.registries, r).acceptTransfer({
        accountId: at(real.accounts, h),
        householdId: at(real.homes, h),
        code,
      })
      const { offer } = life
      const holds = !stale && offer !== undefined && model.nowMs < offer.untilMs
      expect(await outcome(accepted)).toBe(
        !holds ? 'code_refused' : life.holder === h ? 'conflict' : undefined,
      )
      if (!holds || life.holder === h) return
      end(life, offer.history)
      begin(life, h, (await accepted).tenureId)
    }),
  ),
  fc.tuple(device, fc.boolean(), which).map(([d, again, r]) =>
    step(`${d} is reset${again ? ', as it said before' : ''}`, async (model, real) => {
      const life = at(model.lives, d)
      const messageId = (again && life.resetIds.at(-1)) || randomUUID()
      const known = life.resetIds.includes(messageId)
      const registry = at(real.registries, r)
      const it = at(real.devices, d)
      const { deviceId } = it
      const claimCode = life.possession ? undefined : freshCode()
      const { tenureEnded } = await registry.recordReset({
        deviceId,
        tenure: await registry.currentTenure(deviceId),
        messageId,
        claimCode,
      })
      if (claimCode && !known) it.claimCode = claimCode
      const ends = !known && life.possession && life.holder !== undefined
      expect(tenureEnded).toBe(ends)
      if (known) return
      life.resetIds.push(messageId)
      life.resetAtMs = model.nowMs
      if (ends) end(life, 'kept')
    }),
  ),
  device.map((d) =>
    step(`a dispute about ${d}`, async (model, real) => {
      const life = at(model.lives, d)
      const opened = at(real.registries, 0).openDispute({
        operator: real.opener,
        deviceId: at(real.devices, d).deviceId,
        reason: new Personal('reason'),
        evidence: new Personal('case'),
      })
      expect(await outcome(opened)).toBe(
        life.holder === undefined ? 'not_found' : life.possession || life.dispute ? 'conflict' : undefined,
      )
      if (life.holder === undefined || life.possession || life.dispute) return
      const { disputeId, dueAtMs } = await opened
      life.dispute = { id: disputeId, dueAtMs, objected: false }
    }),
  ),
  fc.tuple(home, device).map(([h, d]) =>
    step(`${h} objects about ${d}`, async (model, real) => {
      const life = at(model.lives, d)
      if (!life.dispute) return
      const objected = at(real.registries, 1).objectToDispute({
        accountId: at(real.accounts, h),
        householdId: at(real.homes, h),
        disputeId: life.dispute.id,
        objection: new Personal('no'),
      })
      expect(await outcome(objected)).toBe(
        life.holder !== h ? 'not_found' : life.dispute.objected ? 'conflict' : undefined,
      )
      if (life.holder === h) life.dispute.objected = true
    }),
  ),
  fc.tuple(device, fc.boolean(), fc.boolean()).map(([d, own, officer]) =>
    step(
      `${own ? 'its opener' : 'another'}${officer ? ', an officer,' : ''} completes ${d}`,
      async (model, real) => {
        const life = at(model.lives, d)
        if (!life.dispute) return
        const { id: disputeId, dueAtMs, objected } = life.dispute
        const completed = at(real.registries, 0).completeDispute({
          operator: own ? real.opener : newId<AccountId>(),
          securityOfficer: officer,
          disputeId,
        })
        const due = !own && model.nowMs >= dueAtMs && (!objected || officer)
        expect(await outcome(completed)).toBe(due ? undefined : 'conflict')
        if (!due) return
        end(life, 'kept')
        life.resetAtMs = undefined
      },
    ),
  ),
  fc.constantFrom(MINUTE_MS, 16 * MINUTE_MS, DAY_MS, 15 * DAY_MS).map((ms) =>
    step(`${ms / MINUTE_MS} minutes pass`, async (model) => {
      model.nowMs += ms
      world.time.nowMs = model.nowMs
    }),
  ),
  fc.tuple(home, device).map(([h, d]) =>
    step(`${d} is released, and taken over by ${h}, at once`, async (model, real) => {
      const life = at(model.lives, d)
      const { offer, holder } = life
      if (holder === undefined || holder === h || !offer || model.nowMs >= offer.untilMs) return
      const [released, accepted] = await Promise.allSettled([
        at(real.registries, 0).release({
          accountId: at(real.accounts, holder),
          deviceId: at(real.devices, d).deviceId,
          history: 'kept',
        }),
        at(real.registries, 1).acceptTransfer({
          accountId: at(real.accounts, h),
          householdId: at(real.homes, h),
          code: offer.code,
        }),
      ])
      expect([released.status, accepted.status].sort()).toEqual(['fulfilled', 'rejected'])
      const won = accepted.status === 'fulfilled'
      end(life, won ? offer.history : 'kept')
      life.resetAtMs = undefined
      if (won) begin(life, h, accepted.value.tenureId)
    }),
  ),
]

/** After each step: nobody reaches anything that the model denies, and whoever may, does. */
async function compare(model: Model, real: Real): Promise<void> {
  for (const [d, life] of model.lives.entries()) {
    const registry = at(real.registries, d % 2)
    const current = await registry.currentTenure(at(real.devices, d).deviceId)
    expect(current?.tenureId).toBe(life.tenureId)
    for (const [h, accountId] of real.accounts.entries()) {
      for (const act of acts) {
        if (life.tenureId) {
          const asked = registry.authorize({ accountId, tenureId: life.tenureId, act })
          expect(await outcome(asked)).toBe(life.holder === h ? undefined : 'not_found')
        }
      }
      const last = life.former.at(-1)
      if (!last) continue
      for (const act of acts) {
        const asked = registry.authorize({ accountId, tenureId: last.tenureId, act })
        const allowed = act === 'history' && last.home === h && last.history === 'kept'
        expect(await outcome(asked)).toBe(allowed ? undefined : 'not_found')
      }
      const past = await outcome(registry.pastDevice(accountId, last.tenureId))
      expect(past).toBe(last.home === h && last.history === 'kept' ? undefined : 'not_found')
    }
  }
}

const compared = (inner: Step): Step => ({
  check: () => true,
  async run(model, real) {
    await inner.run(model, real)
    await compare(model, real)
  },
  toString: () => inner.toString(),
})

it('a device’s life agrees with the reference over any sequence of steps', async () => {
  const property = fc.asyncProperty(
    fc.commands(
      steps.map((each) => each.map(compared)),
      { maxCommands: 30 },
    ),
    async (commands) => {
      const accounts = Array.from({ length: COUNT.homes }, () => newId<AccountId>())
      const homes = await Promise.all(
        accounts.map(async (accountId) => {
          const made = await world.registry.createHousehold(accountId, { name: new Personal('home') })
          return made.householdId
        }),
      )
      const devices = [await world.provisionOne('hearth-plug'), await world.provisionOne('hearth-lock')]
      for (const { deviceId } of devices) world.online.add(deviceId)
      const lives = devices.map(
        (_, d): Life => ({
          possession: d === 0,
          holder: undefined,
          tenureId: undefined,
          heldBefore: false,
          resetAtMs: undefined,
          offer: undefined,
          dispute: undefined,
          former: [],
          resetIds: [],
          usedCodes: [],
        }),
      )
      const model: Model = { nowMs: world.time.nowMs, lives }
      const real: Real = {
        registries: [world.registry, second],
        accounts,
        homes,
        devices,
        opener: newId<AccountId>(),
      }
      await fc.asyncModelRun(() => ({ model, real }), commands)
    },
  )
  await fc.assert(property, { numRuns: 40 })
}, 240_000)
