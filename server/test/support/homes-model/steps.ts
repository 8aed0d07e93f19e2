import fc from 'fast-check'
import { expect, vi } from 'vitest'
import { newReset } from '../../../src/simulator/reset.ts'
import { type Command, outcome, say } from '../two-homes.ts'
import { probe } from './probe.ts'
import {
  beginTenure,
  comeIn,
  endTenure,
  HOUR_MS,
  isHeldBack,
  type Member,
  mayClaim,
  mayInHome,
  mayLet,
  mayOn,
  mayReadPast,
  type ReferenceHomes,
  seesHome,
} from './reference.ts'
import {
  ACCOUNTS,
  at,
  comeBack,
  comeOnline,
  HOMES,
  MODELS,
  noteLostRights,
  patience,
  type Real,
  rememberTenure,
  takeWaiting,
  toBody,
} from './world.ts'

type Step = fc.AsyncCommand<ReferenceHomes, Real>
type World = { m: ReferenceHomes; real: Real }

/**
 * One kind of step: what could be tried, whether the rules allow it, and how it is done. Whether it is then an allowed
 * one that is tried, and which, is drawn: what is tried blindly is hardly ever allowed.
 */
function kind<P extends object>(k: {
  text: (p: P) => string
  all: (w: World) => P[]
  allows: (m: ReferenceHomes, p: P) => boolean
  /** Resolves to whether it was done. */
  tries: (w: World, p: P) => Promise<boolean>
  /** What is so from then on. */
  after?: (w: World, p: P) => Promise<void> | void
}): fc.Arbitrary<Step> {
  return fc.tuple(fc.integer({ min: 0, max: 3 }), fc.nat(1_000)).map(([luck, n]) => {
    let text = 'nothing'
    return {
      check: () => true,
      async run(m, real) {
        real.clock.ms += 1_000
        m.nowMs = real.clock.ms
        await real.rooms.home.tick()
        const w = { m, real }
        const all = k.all(w)
        const allowed = all.filter((p) => k.allows(m, p))
        const from = luck > 0 && allowed.length > 0 ? allowed : all
        const p = from[n % Math.max(1, from.length)]
        if (!p) return
        text = k.text(p)
        const may = k.allows(m, p)
        expect({ text, done: await k.tries(w, p) }).toEqual({ text, done: may })
        if (may) await k.after?.(w, p)
        noteLostRights(m)
        await probe(m, real)
      },
      toString: () => text,
    }
  })
}

const done = async (work: Promise<unknown>) => (await outcome(work)) === 'done'
const some = (n: number) => Array.from({ length: n }, (_, index) => index)
const everybody = () => some(ACCOUNTS).map((who) => ({ who }))
const everybodyOnDevices = () => everybody().flatMap(({ who }) => [...MODELS.keys()].map((d) => ({ who, d })))
const everybodyInHomes = () => everybody().flatMap(({ who }) => some(HOMES).map((h) => ({ who, h })))
const online = ({ m }: World) => [...MODELS.keys()].filter((d) => at(m.devices, d).online).map((d) => ({ d }))

const NAMED: [number, 'view' | 'control'][][] = [
  [],
  [[0, 'control']],
  [[1, 'control']],
  [
    [0, 'view'],
    [1, 'control'],
  ],
]
const GUESTS = NAMED.flatMap((named) =>
  [undefined, [8, 16] as const, [22, 5] as const].map((hours) => ({ named, hours })),
)

const claims = kind<{ who: number; h: number; d: number }>({
  text: ({ who, h, d }) => `${who} claims ${d} into ${h}`,
  all: () => everybodyOnDevices().flatMap(({ who, d }) => some(HOMES).map((h) => ({ who, h, d }))),
  allows: (m, { who, h, d }) => mayClaim(m, who, h, d),
  tries: ({ real }, { who, h, d }) => {
    const body = { code: at(real.things, d).claimCode.reveal() }
    return done(at(real.clients, who).request('POST', `/v1/households/${at(real.homes, h)}/claims`, { body }))
  },
  async after({ m, real }, { h, d }) {
    beginTenure(m, d, h)
    await rememberTenure(m, real, d)
  },
})

const offers = kind<{ who: number; d: number }>({
  text: ({ who, d }) => `${who} offers ${d}`,
  all: everybodyOnDevices,
  allows: (m, { who, d }) => mayOn(m, who, d, 'manage'),
  async tries({ real }, { who, d }) {
    const path = `/v1/devices/${at(real.things, d).deviceId}/transfer-offers`
    const work = at(real.clients, who).request<{ code: string }>('POST', path, { body: { history: 'keep' } })
    if (!(await done(work))) return false
    real.offered.push((await work).code)
    return true
  },
  after({ m }, { who, d }) {
    for (const offer of m.offers) if (offer.device === d) offer.open = false
    const { tenure } = at(m.devices, d)
    m.offers.push({ device: d, tenure, by: who, untilMs: m.nowMs + 24 * HOUR_MS, open: true })
  },
})

const takesOver = kind<{ who: number; h: number; offer: number }>({
  text: ({ who, h, offer }) => `${who} takes over by offer ${offer} into ${h}`,
  all: ({ m }) => everybodyInHomes().flatMap((p) => [...m.offers.keys()].map((offer) => ({ ...p, offer }))),
  allows: (m, { who, h, offer: index }) => {
    const offer = at(m.offers, index)
    const { home, tenure } = at(m.devices, offer.device)
    return (
      mayInHome(m, who, h, 'configure') &&
      offer.open &&
      home !== undefined &&
      home !== h &&
      tenure === offer.tenure &&
      offer.untilMs > m.nowMs &&
      mayOn(m, offer.by, offer.device, 'manage')
    )
  },
  tries: ({ real }, { who, h, offer }) => {
    const body = { code: at(real.offered, offer) }
    return done(
      at(real.clients, who).request('POST', `/v1/households/${at(real.homes, h)}/transfers`, { body }),
    )
  },
  async after({ m, real }, { h, offer: index }) {
    const { device: d } = at(m.offers, index)
    endTenure(m, d)
    beginTenure(m, d, h)
    await rememberTenure(m, real, d)
    await comeBack(m, real, d)
  },
})

const releases = kind<{ who: number; d: number }>({
  text: ({ who, d }) => `${who} releases ${d}`,
  all: everybodyOnDevices,
  allows: (m, { who, d }) => mayOn(m, who, d, 'manage'),
  tries: ({ real }, { who, d }) => {
    const path = `/v1/devices/${at(real.things, d).deviceId}/release`
    return done(at(real.clients, who).request('POST', path, { body: { history: 'keep' } }))
  },
  async after({ m, real }, { d }) {
    endTenure(m, d)
    await comeBack(m, real, d)
  },
})

const isReset = kind<{ d: number }>({
  text: ({ d }) => `${d} is reset`,
  all: online,
  allows: () => true,
  async tries({ real }, { d }) {
    const thing = at(real.things, d)
    const { code, payload } = newReset()
    if ((await say(thing, 'events', payload)) !== 0) return false
    thing.claimCode = code
    return true
  },
  async after({ m, real }, { d }) {
    const it = at(m.devices, d)
    const ends = it.home !== undefined && !it.guarding
    if (ends) endTenure(m, d)
    it.resetMs = m.nowMs
    if (ends) await comeBack(m, real, d)
  },
})

const goesOffOrComesOn = kind<{ d: number }>({
  text: ({ d }) => `${d} goes off, or comes on`,
  all: () => [...MODELS.keys()].map((d) => ({ d })),
  allows: () => true,
  async tries({ m, real }, { d }) {
    const it = at(m.devices, d)
    if (!it.online) {
      await comeOnline(m, real, d)
      return true
    }
    const { socket, deviceId } = at(real.things, d)
    // After everything that it has acknowledged.
    socket.send({ cmd: 'disconnect', reasonCode: 0 })
    await vi.waitFor(() => expect(real.rooms.gateway.isOnline(deviceId)).toBe(false), patience)
    it.online = false
    return true
  },
})

const invites = kind<{ who: number; h: number; guest: (typeof GUESTS)[number] | undefined; hours: number }>({
  text: ({ who, h, guest, hours }) =>
    `${who} invites into ${h}: ${JSON.stringify(guest ?? 'adult')}, ${hours} h`,
  all: () =>
    everybodyInHomes().flatMap((p) =>
      [undefined, ...GUESTS].flatMap((guest) => [2, 72].map((hours) => ({ ...p, guest, hours }))),
    ),
  allows: (m, { who, h, guest }) =>
    mayLet(m, who, h, guest ? 'guest' : 'adult') &&
    (guest?.named ?? []).every(([d]) => at(m.devices, d).home === h),
  async tries({ m, real }, { who, h, guest, hours }) {
    const path = `/v1/households/${at(real.homes, h)}/invitations`
    const body = { ...toBody(memberOf(m, guest), real.things), hours }
    const work = at(real.clients, who).request<{ code: string }>('POST', path, { body })
    if (!(await done(work))) return false
    real.codes.push((await work).code)
    return true
  },
  after({ m }, { who, h, guest, hours }) {
    const untilMs = m.nowMs + hours * HOUR_MS
    m.invitations.push({ home: h, by: who, as: memberOf(m, guest), untilMs, used: false })
  },
})

const accepts = kind<{ who: number; invitation: number }>({
  text: ({ who, invitation }) => `${who} accepts invitation ${invitation}`,
  all: ({ m }) =>
    everybody().flatMap(({ who }) => [...m.invitations.keys()].map((invitation) => ({ who, invitation }))),
  allows: (m, { who, invitation }) => {
    const { home: h, by, as, untilMs, used } = at(m.invitations, invitation)
    return (
      !used &&
      untilMs > m.nowMs &&
      mayLet(m, by, h, as.role) &&
      (as.role !== 'guest' || (as.untilMs ?? 0) > m.nowMs) &&
      !seesHome(m, who, h)
    )
  },
  tries: ({ real }, { who, invitation }) => {
    const body = { code: at(real.codes, invitation) }
    return done(at(real.clients, who).request('POST', '/v1/invitations/accept', { body }))
  },
  after({ m }, { who, invitation }) {
    const invited = at(m.invitations, invitation)
    invited.used = true
    comeIn(m, invited.home, who, invited.as)
  },
})

const removes = kind<{ who: number; h: number; member: number }>({
  text: ({ who, h, member }) => `${who} removes ${member} from ${h}`,
  all: () => everybodyInHomes().flatMap((p) => some(ACCOUNTS).map((member) => ({ ...p, member }))),
  allows: (m, { who, h, member }) => {
    const present = at(m.members, h)
    const role = present.get(member)?.role
    if (role === undefined || !present.has(who)) return false
    const owners = [...present.values()].filter((each) => each.role === 'owner').length
    if (role === 'owner' && (who !== member || owners === 1)) return false
    return who === member ? !isHeldBack(m, who) : mayLet(m, who, h, role)
  },
  tries: ({ real }, { who, h, member }) => {
    const path = `/v1/households/${at(real.homes, h)}/members/${at(real.accounts, member)}`
    return done(at(real.clients, who).request('DELETE', path))
  },
  after({ m }, { h, member }) {
    at(m.members, h).delete(member)
    for (const each of m.invitations) if (each.home === h && each.by === member) each.used = true
  },
})

const isHeld = kind<{ who: number; hours: number }>({
  text: ({ who, hours }) => `${who} is held back for ${hours} h`,
  all: () => everybody().flatMap((p) => [1, 5].map((hours) => ({ ...p, hours }))),
  allows: () => true,
  async tries({ m, real }, { who, hours }) {
    const untilMs = Math.ceil((m.nowMs + hours * HOUR_MS) / HOUR_MS) * HOUR_MS
    await real.rooms.database.transaction((tx) =>
      real.rooms.registry.holdBack(tx, at(real.accounts, who), untilMs),
    )
    m.heldBack.set(who, Math.max(untilMs, m.heldBack.get(who) ?? 0))
    for (const each of m.invitations) if (each.by === who) each.used = true
    return true
  },
})

const timePasses = kind<{ minutes: number }>({
  text: ({ minutes }) => `${minutes} minutes pass`,
  all: () => [1, 10, 90, 7 * 60, 25 * 60].map((minutes) => ({ minutes })),
  allows: () => true,
  async tries({ m, real }, { minutes }) {
    real.clock.ms += minutes * 60_000
    m.nowMs = real.clock.ms
    await real.rooms.home.tick()
    // So long without a check, no stream needs to have gone on.
    for (const each of real.watching) each.lost = true
    return true
  },
})

const commands = kind<{ who: number; d: number }>({
  text: ({ who, d }) => `${who} commands ${d}`,
  all: everybodyOnDevices,
  allows: (m, { who, d }) => mayOn(m, who, d, 'control'),
  async tries({ m, real }, { who, d }) {
    const it = at(m.devices, d)
    const body = { command: it.guarding ? 'DoorLock.LockDoor' : 'OnOff.Toggle' }
    const path = `/v1/devices/${at(real.things, d).deviceId}/commands`
    const work = at(real.clients, who).request<Command>('POST', path, { body })
    if (!(await done(work))) return false
    const untilMs = m.nowMs + (it.guarding ? 10_000 : HOUR_MS)
    const { commandId } = await work
    real.asked.push({ commandId, d, tenure: it.tenure, by: who, atMs: m.nowMs })
    it.waiting.push({ commandId, by: who, tenure: it.tenure, untilMs })
    return true
  },
  async after({ m, real }, { d }) {
    if (at(m.devices, d).online) await takeWaiting(m, at(real.things, d), d)
  },
})

const destroys = kind<{ who: number; past: number }>({
  text: ({ who, past }) => `${who} destroys the history of past ${past}`,
  all: ({ m }) => everybody().flatMap((p) => [...m.past.keys()].map((past) => ({ ...p, past }))),
  allows: (m, { who, past: index }) => {
    const past = at(m.past, index)
    return (
      mayReadPast(m, who, past) && at(m.members, past.home).get(who)?.role === 'owner' && !isHeldBack(m, who)
    )
  },
  tries: ({ m, real }, { who, past }) => {
    const path = `/v1/tenures/${real.tenureIds.get(at(m.past, past).tenure)}/history`
    return done(at(real.clients, who).request('DELETE', path))
  },
  after({ m }, { past }) {
    at(m.past, past).kept = false
  },
})

/** Of each kind as often as it stands here. */
export const steps = [
  claims,
  claims,
  offers,
  offers,
  takesOver,
  takesOver,
  releases,
  isReset,
  goesOffOrComesOn,
  invites,
  invites,
  accepts,
  accepts,
  removes,
  isHeld,
  timePasses,
  commands,
  commands,
  destroys,
]

function memberOf(m: ReferenceHomes, guest: (typeof GUESTS)[number] | undefined): Member {
  if (!guest) return { role: 'adult' }
  return { role: 'guest', untilMs: m.nowMs + 24 * HOUR_MS, hours: guest.hours, named: new Map(guest.named) }
}
