import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  type AccountId,
  type DeviceId,
  type HouseholdId,
  newId,
  type Secret,
  type TenureId,
} from '../../src/core/index.ts'
import type { NewRole } from '../../src/registry/index.ts'
import { held, home } from './people.ts'
import { createWorld, refusal, type World } from './world.ts'

const HOUR_MS = 3_600_000
const START_MS = Date.parse('2026-03-02T00:30:00Z')
const ACCOUNTS = 4
const DEVICES = 2

type Role = 'owner' | 'adult' | 'guest'
const ACTS = ['view', 'control', 'configure', 'manage'] as const
type Act = (typeof ACTS)[number]

/** What a guest may do, and when: hours of every day in UTC, whole ones. */
interface Guest {
  untilMs: number
  hours: [from: number, to: number] | undefined
  grants: Map<number, 'view' | 'control'>
}
interface Member {
  role: Role
  guest?: Guest
}
interface Invited {
  by: number
  as: Member
  expiresMs: number
}

/** The rules once more, in a few maps. */
interface Reference {
  nowMs: number
  members: Map<number, Member>
  invitations: Map<number, Invited>
  heldBack: Map<number, number>
}

interface Real {
  accounts: AccountId[]
  householdId: HouseholdId
  devices: { deviceId: DeviceId; tenureId: TenureId }[]
  codes: Map<number, Secret>
}

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

const at = <T>(list: readonly T[], index: number) => list[index] as T

function within({ untilMs, hours }: Guest, nowMs: number): boolean {
  if (nowMs >= untilMs) return false
  if (!hours) return true
  const hour = new Date(nowMs).getUTCHours()
  const [from, to] = hours
  return from < to ? hour >= from && hour < to : hour >= from || hour < to
}

const isHeldBack = (m: Reference, who: number) => (m.heldBack.get(who) ?? 0) > m.nowMs
const inHousehold = (m: Reference, who: number, act: 'configure' | 'manage') => {
  const role = m.members.get(who)?.role
  return !isHeldBack(m, who) && (role === 'owner' || (role === 'adult' && act === 'configure'))
}
const rules = (m: Reference, who: number, ...roles: Role[]) =>
  inHousehold(m, who, roles.every((role) => role === 'guest') ? 'configure' : 'manage')
const sees = (m: Reference, who: number) => {
  const member = m.members.get(who)
  return member !== undefined && (!member.guest || m.nowMs < member.guest.untilMs)
}
/** Of a lock, which does not obey who is held back. */
function may(m: Reference, who: number, device: number, act: Act): boolean {
  const member = m.members.get(who)
  if (!member || isHeldBack(m, who)) return false
  if (member.role === 'owner') return true
  if (member.role === 'adult') return act !== 'manage'
  const grant = member.guest?.grants.get(device)
  if (!member.guest || !grant || !within(member.guest, m.nowMs)) return false
  return act === 'view' || (act === 'control' && grant === 'control')
}
const owners = (m: Reference) => [...m.members].filter(([, { role }]) => role === 'owner').map(([who]) => who)
function forget(m: Reference, who: number): void {
  for (const [id, { by }] of m.invitations) if (by === who) m.invitations.delete(id)
}

/** The founder more often than others: else few sequences would get far. */
const account = fc.oneof(fc.constant(0), fc.nat(ACCOUNTS - 1))
const device = fc.nat(DEVICES - 1)
const guest = fc.record({
  days: fc.integer({ min: 1, max: 3 }),
  hours: fc.option(
    fc.tuple(fc.nat(23), fc.nat(23)).filter(([from, to]) => from !== to),
    { nil: undefined },
  ),
  grants: fc.array(fc.tuple(device, fc.constantFrom('view' as const, 'control' as const)), { maxLength: 2 }),
})
type GuestWish = typeof guest extends fc.Arbitrary<infer T> ? T : never
const role = fc.oneof(fc.constant('adult' as const), guest)

function toMember(m: Reference, wish: 'adult' | GuestWish): Member {
  if (wish === 'adult') return { role: 'adult' }
  const { days, hours, grants } = wish
  return { role: 'guest', guest: { untilMs: m.nowMs + days * 24 * HOUR_MS, hours, grants: new Map(grants) } }
}

function toNewRole({ guest: terms }: Member, devices: Real['devices']): NewRole {
  if (!terms) return { role: 'adult' }
  const time = (hour: number) => `${String(hour).padStart(2, '0')}:00`
  const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const
  const { untilMs, hours } = terms
  const windows = hours && [{ days: [...days], from: time(hours[0]), to: time(hours[1]) }]
  return {
    role: 'guest',
    guest: {
      schedule: { untilMs, ...(windows && { hours: { timeZone: 'UTC', windows } }) },
      devices: [...terms.grants].map(([which, act]) => ({
        deviceId: at(devices, which).deviceId,
        acts: [act],
      })),
    },
  }
}

type Step = fc.AsyncCommand<Reference, Real>
const step = (text: string, run: (m: Reference, real: Real) => Promise<void>): Step => ({
  check: () => true,
  run,
  toString: () => text,
})
let nextInvitation = 0

const steps = [
  fc.tuple(account, role, fc.integer({ min: 1, max: 48 })).map(([by, wish, hours]) =>
    step(
      `${by} invites ${JSON.stringify(wish)} for ${hours} h`,
      async (m, { accounts, householdId, devices, codes }) => {
        const as = toMember(m, wish)
        const request = { accountId: at(accounts, by), householdId, as: toNewRole(as, devices), hours }
        const outcome = await world.registry.invite(request).catch((error: { code: string }) => error.code)
        if (!rules(m, by, as.role)) return expect(outcome).toBe('not_found')
        const id = nextInvitation++
        codes.set(id, (outcome as { code: Secret }).code)
        m.invitations.set(id, { by, as, expiresMs: m.nowMs + hours * HOUR_MS })
      },
    ),
  ),
  fc.tuple(account, fc.nat(7)).map(([who, pick]) =>
    step(`${who} accepts invitation ${pick}`, async (m, { accounts, householdId, codes }) => {
      const id = [...codes.keys()].at(-1 - (pick % Math.max(1, codes.size)))
      if (id === undefined) return
      const outcome = await refusal(
        world.registry.acceptInvitation(at(accounts, who), codes.get(id) as Secret),
      )
      const invited = m.invitations.get(id)
      const stale =
        !invited ||
        invited.expiresMs <= m.nowMs ||
        !rules(m, invited.by, invited.as.role) ||
        (invited.as.guest !== undefined && invited.as.guest.untilMs <= m.nowMs)
      if (stale) return expect(outcome).toBe('code_refused')
      if (sees(m, who)) return expect(outcome).toBe('conflict')
      expect(outcome).toBeUndefined()
      m.invitations.delete(id)
      m.members.set(who, invited.as)
      expect((await world.registry.household(at(accounts, who), householdId)).role).toBe(invited.as.role)
    }),
  ),
  fc.tuple(account, account).map(([by, who]) =>
    step(`${by} removes ${who}`, async (m, { accounts, householdId }) => {
      const request = { accountId: at(accounts, by), householdId, memberId: at(accounts, who) }
      const outcome = await refusal(world.registry.removeMember(request))
      const member = m.members.get(who)
      if (!member || !m.members.has(by)) return expect(outcome).toBe('not_found')
      const allowed = by === who ? !isHeldBack(m, by) : rules(m, by, member.role)
      if (!allowed) return expect(outcome).toBe('not_found')
      if (member.role === 'owner' && (by !== who || owners(m).length === 1))
        return expect(outcome).toBe('conflict')
      expect(outcome).toBeUndefined()
      m.members.delete(who)
      forget(m, who)
    }),
  ),
  fc.tuple(account, account, role).map(([by, who, wish]) =>
    step(`${by} makes ${who} ${JSON.stringify(wish)}`, async (m, { accounts, householdId, devices }) => {
      const to = toMember(m, wish)
      const request = {
        accountId: at(accounts, by),
        householdId,
        memberId: at(accounts, who),
        to: toNewRole(to, devices),
      }
      const outcome = await refusal(world.registry.changeMember(request))
      const member = m.members.get(who)
      if (!member || !m.members.has(by) || !rules(m, by, member.role, to.role))
        return expect(outcome).toBe('not_found')
      if (member.role === 'owner') return expect(outcome).toBe('conflict')
      expect(outcome).toBeUndefined()
      m.members.set(who, to)
      forget(m, who)
    }),
  ),
  fc.tuple(account, account, fc.constantFrom('owner' as const, 'adult' as const)).map(([by, who, remains]) =>
    step(`${by} hands over to ${who}, remaining ${remains}`, async (m, { accounts, householdId }) => {
      const request = { accountId: at(accounts, by), householdId, memberId: at(accounts, who), remains }
      const outcome = await refusal(world.registry.handOver(request))
      const member = m.members.get(who)
      if (!member || by === who || !inHousehold(m, by, 'manage')) return expect(outcome).toBe('not_found')
      if (member.role === 'guest') return expect(outcome).toBe('conflict')
      expect(outcome).toBeUndefined()
      m.members.set(who, { role: 'owner' })
      if (remains === 'owner') return
      m.members.set(by, { role: 'adult' })
      forget(m, by)
    }),
  ),
  fc.tuple(account, fc.integer({ min: 1, max: 12 })).map(([who, hours]) =>
    step(`${who} is held back for ${hours} h`, async (m, { accounts }) => {
      const untilMs = Math.ceil((m.nowMs + hours * HOUR_MS) / HOUR_MS) * HOUR_MS
      await world.database.transaction((tx) => world.registry.holdBack(tx, at(accounts, who), untilMs))
      m.heldBack.set(who, Math.max(untilMs, m.heldBack.get(who) ?? 0))
      forget(m, who)
    }),
  ),
  fc.integer({ min: 1, max: 30 }).map((hours) =>
    step(`${hours} h pass`, async (m) => {
      m.nowMs += hours * HOUR_MS
      world.time.nowMs = m.nowMs
    }),
  ),
  fc.constant(
    step('everybody tries everything', async (m, { accounts, devices }) => {
      const outcomes: string[] = []
      const expected: string[] = []
      for (const [who, accountId] of accounts.entries()) {
        for (const [which, { tenureId, deviceId }] of devices.entries()) {
          for (const act of ACTS) {
            const name = `${who} ${act} ${which}: `
            const outcome = may(m, who, which, act) ? 'may' : 'not_found'
            expected.push(name + outcome, name + outcome)
            const byTenure = await refusal(world.registry.authorize({ accountId, tenureId, act }))
            const byDevice = await refusal(world.registry.device(accountId, deviceId, act))
            outcomes.push(name + (byTenure ?? 'may'), name + (byDevice ?? 'may'))
          }
        }
      }
      expect(outcomes).toEqual(expected)
    }),
  ),
  // Else few sequences would have people in the home.
  fc.tuple(account, role).map(([who, wish]) =>
    step(`${who} comes in as ${JSON.stringify(wish)}`, async (m, { accounts, householdId, devices }) => {
      const as = toMember(m, wish)
      const [owner] = owners(m)
      if (owner === undefined || isHeldBack(m, owner) || sees(m, who)) return
      const request = { accountId: at(accounts, owner), householdId, as: toNewRole(as, devices), hours: 1 }
      await world.registry.acceptInvitation(at(accounts, who), (await world.registry.invite(request)).code)
      m.members.set(who, as)
    }),
  ),
  account.map((who) =>
    step(`${who} looks around`, async (m, { accounts, householdId, devices }) => {
      const accountId = at(accounts, who)
      expect(await refusal(world.registry.household(accountId, householdId))).toBe(
        sees(m, who) ? undefined : 'not_found',
      )
      const member = m.members.get(who)
      const inside = member !== undefined && member.role !== 'guest' && !isHeldBack(m, who)
      const seen = await world.registry
        .members(accountId, householdId)
        .catch((error: { code: string }) => error.code)
      if (inside) {
        const roles = new Map(
          (seen as { accountId: AccountId; role: Role }[]).map((each) => [each.accountId, each.role]),
        )
        expect(roles).toEqual(new Map([...m.members].map(([each, { role: is }]) => [at(accounts, each), is])))
        expect(owners(m).length).toBeGreaterThan(0)
      } else expect(seen).toBe('not_found')
      const visible = await world.registry.devices(accountId, householdId).catch(() => [])
      expect(visible.map(({ deviceId }) => deviceId).sort()).toEqual(
        devices
          .filter((_, which) => may(m, who, which, 'view'))
          .map(({ deviceId }) => deviceId)
          .sort(),
      )
    }),
  ),
]

it('whoever comes into a household, and what each may do when, agrees with the reference over any sequence of steps', async () => {
  const property = fc.asyncProperty(
    fc.commands(steps, { maxCommands: 60, size: 'max' }),
    async (commands) => {
      world.time.nowMs = START_MS
      const ada = await home(world)
      const devices = [await held(world, ada), await held(world, ada)]
      const accounts = [ada.owner, ...Array.from({ length: ACCOUNTS - 1 }, () => newId<AccountId>())]
      const m: Reference = {
        nowMs: START_MS,
        members: new Map([[0, { role: 'owner' }]]),
        invitations: new Map(),
        heldBack: new Map(),
      }
      const real: Real = { accounts, householdId: ada.householdId, devices, codes: new Map() }
      await fc.asyncModelRun(() => ({ model: m, real }), commands)
    },
  )
  await fc.assert(property, { numRuns: 60 })
}, 240_000)
