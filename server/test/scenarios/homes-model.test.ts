import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { Client } from '../../src/client/index.ts'
import type { AccountId, TenureId } from '../../src/core/index.ts'
import type { RawClient } from '../gateway/raw-client.ts'
import {
  beginTenure,
  type Device,
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
} from '../support/reference-homes.ts'
import { newCustomer, provisionDevice, type Rooms, startRooms } from '../support/start-rooms.ts'
import {
  type Command,
  connected,
  obeyFrom,
  outcome,
  roomyLimits,
  say,
  type Thing,
  type Watch,
  watch,
} from '../support/two-homes.ts'

/** More of them find more, in minutes instead of seconds. A seed that was printed repeats what it found. */
const RUNS = Number(process.env.HEARTHLOCK_MODEL_RUNS ?? 6)
const SEED = process.env.HEARTHLOCK_MODEL_SEED
const STEPS = 80
const LIMIT_MS = 180_000
const ACCOUNTS = 4
const HOMES = 2
const MODELS = ['hearth-bulb', 'hearth-lock'] as const

interface Watching {
  who: number
  home: number
  seen: Watch
  /** Marks that it may be told of, and those that it must be. */
  may: Set<string>
  /** The right to watch was lost: the stream may end. */
  lost: boolean
  ended: boolean
}

interface Real {
  homes: string[]
  things: (Thing & { commands: string[]; maybe: Set<string> })[]
  tenureIds: Map<number, TenureId>
  codes: string[]
  asked: { commandId: string; d: number; tenure: number }[]
  offered: string[]
  watching: Watching[]
}

let rooms: Rooms
let clients: Client[]
let accounts: AccountId[]
/** Stands still within a step, so that the reference knows at which moment everything happens. */
const clock = { ms: Date.now(), nowMs: () => clock.ms }
const patience = { timeout: 15_000, interval: 5 }
const at = <T>(list: readonly T[], index: number) => list[index] as T

beforeAll(async () => {
  rooms = await startRooms({
    homeClock: clock,
    limits: {
      ...roomyLimits,
      commandsPerMinutePerAccount: 100_000,
      requestsPerMinutePerAccount: 1_000_000,
      requestsPerMinutePerAddress: 1_000_000,
    },
  })
  clients = await Promise.all(Array.from({ length: ACCOUNTS }, () => newCustomer(rooms)))
  accounts = await Promise.all(
    clients.map(
      async (client) => (await client.request<{ accountId: AccountId }>('GET', '/v1/me')).accountId,
    ),
  )
})
afterAll(() => rooms.close())

/** Sees every command of a household, and says that it took it and did it. */
function obeying(thing: Real['things'][number], socket: RawClient): void {
  socket.onPacket = (packet) => {
    if (packet.cmd !== 'publish') return
    socket.send({ cmd: 'puback', messageId: packet.messageId ?? 0 })
    const { id, command } = JSON.parse(packet.payload.toString())
    if (!command.startsWith('OperationalCredentials.')) thing.commands.push(id)
  }
}

async function comeOnline(m: ReferenceHomes, { things }: Real, d: number): Promise<void> {
  const thing = at(things, d)
  const it = at(m.devices, d)
  thing.socket = await connected(rooms, thing)
  obeying(thing, thing.socket)
  await obeyFrom(thing)
  it.online = true
  await takeWaiting(m, thing, d)
}

/** Whose right was lost may have been refused meanwhile, or not: having it again brings nothing back for certain. */
function remember(m: ReferenceHomes): void {
  m.devices.forEach(({ waiting }, d) => {
    for (const each of waiting) each.lost ||= !mayOn(m, each.by, d, 'control')
  })
}

/** What waits for it, of whoever may still ask for it, is sent, and nothing else. */
async function takeWaiting(m: ReferenceHomes, thing: Real['things'][number], d: number): Promise<void> {
  const it = at(m.devices, d)
  const due = it.waiting.filter(
    ({ by, tenure, untilMs }) =>
      it.home !== undefined && tenure === it.tenure && untilMs > m.nowMs && mayOn(m, by, d, 'control'),
  )
  it.waiting = []
  for (const { commandId, lost } of due) if (lost) thing.maybe.add(commandId)
  const expected = due.filter(({ lost }) => !lost).map(({ commandId }) => commandId)
  await vi.waitFor(() => expect(heard(thing)).toEqual(expected), patience)
  thing.commands.length = 0
}

const heard = ({ commands, maybe }: Real['things'][number]) => commands.filter((id) => !maybe.has(id))

/** The session of a tenure that has ended is closed by the server, and the device comes back. */
async function comeBack(m: ReferenceHomes, real: Real, d: number): Promise<void> {
  if (!at(m.devices, d).online) return
  await at(real.things, d).socket.closed
  await comeOnline(m, real, d)
}

async function rememberTenure(m: ReferenceHomes, { things, tenureIds }: Real, d: number): Promise<void> {
  const tenure = await rooms.registry.currentTenure(at(things, d).deviceId)
  if (tenure) tenureIds.set(at(m.devices, d).tenure, tenure.tenureId)
}

/** Asks for everything, as everybody, and compares. */
async function probe(m: ReferenceHomes, real: Real): Promise<void> {
  const { homes, things, tenureIds } = real
  const asked: { what: string; work: Promise<unknown>; allowed: boolean }[] = []
  clients.forEach((client, who) => {
    things.forEach(({ deviceId }, d) => {
      const path = `/v1/devices/${deviceId}`
      const see = (what: string, work: Promise<unknown>) =>
        asked.push({ what: `${who} ${what} ${d}`, work, allowed: mayOn(m, who, d, 'view') })
      see('sees', client.request('GET', path))
      see('reads', client.request('GET', `${path}/timeline?limit=1`))
      const accountId = at(accounts, who)
      asked.push({
        what: `${who} moves ${d}`,
        work: rooms.registry.device(accountId, deviceId, 'control'),
        allowed: mayOn(m, who, d, 'control'),
      })
    })
    homes.forEach((householdId, home) => {
      const work = client.request<{ devices: { deviceId: string }[] }>(
        'GET',
        `/v1/households/${householdId}/devices`,
      )
      const devices = work.then(({ devices: found }) => {
        const expected = things.filter((_, d) => at(m.devices, d).home === home && mayOn(m, who, d, 'view'))
        expect([`${who} in ${home}`, ...found.map(({ deviceId }) => deviceId).sort()]).toEqual([
          `${who} in ${home}`,
          ...expected.map(({ deviceId }) => deviceId).sort(),
        ])
      })
      asked.push({
        what: `${who} looks into ${home}`,
        work: devices,
        allowed: mayInHome(m, who, home, 'view'),
      })
    })
    for (const { commandId, d, tenure } of real.asked.slice(-2)) {
      const allowed = at(m.devices, d).tenure === tenure && mayOn(m, who, d, 'view')
      const work = client.request('GET', `/v1/commands/${commandId}`)
      asked.push({ what: `${who} asks what became of ${commandId} on ${d}`, work, allowed })
    }
    for (const past of m.past.slice(-2)) {
      const tenureId = tenureIds.get(past.tenure) as TenureId
      for (const act of ['view', 'control'] as const) {
        const work = rooms.registry.authorize({ accountId: at(accounts, who), tenureId, act })
        asked.push({ what: `${who} would ${act} in past ${past.tenure}`, work, allowed: false })
      }
      const path = `/v1/tenures/${tenureIds.get(past.tenure)}/timeline?limit=1`
      asked.push({
        what: `${who} reads past ${past.tenure}`,
        work: client.request('GET', path),
        allowed: mayReadPast(m, who, past),
      })
    }
  })
  const answers = await Promise.all(
    asked.map(async ({ what, work, allowed }) => ({ what, allowed, done: (await outcome(work)) === 'done' })),
  )
  expect(answers.filter(({ allowed, done }) => allowed !== done)).toEqual([])
  for (const [d, thing] of things.entries())
    expect({ d, commands: heard(thing) }).toEqual({ d, commands: [] })
  await watchAll(m, real)
  await listen(m, real)
}

type Step = fc.AsyncCommand<ReferenceHomes, Real>
/** Everybody who may watch a home does. Who lost the right keeps listening, to hear nothing, until it is there again. */
async function watchAll(m: ReferenceHomes, { homes, watching }: Real): Promise<void> {
  for (const { who, h } of everybodyInHomes()) {
    const may = mayInHome(m, who, h, 'view')
    const index = watching.findIndex((each) => each.who === who && each.home === h)
    const open = watching[index]
    if (open) {
      expect({ who, h, ended: open.ended && !open.lost && may }).toEqual({ who, h, ended: false })
      open.lost ||= !may
      if (!open.lost || !may) continue
      open.seen.close()
      watching.splice(index, 1)
    }
    if (!may) continue
    const seen = await watch({ client: at(clients, who), householdId: at(homes, h) })
    const entry: Watching = { who, home: h, seen, may: new Set(), lost: false, ended: false }
    void seen.ended.then(() => {
      entry.ended = true
    })
    watching.push(entry)
  }
}

/** Every device says something, and exactly those hear it who may see the device. */
async function listen(m: ReferenceHomes, { things, watching }: Real): Promise<void> {
  for (const [d, thing] of things.entries()) {
    const { online: isOnline, home } = at(m.devices, d)
    if (!isOnline) continue
    const mark = randomUUID().slice(0, 30)
    const told = watching.filter(({ who, home: h }) => h === home && mayOn(m, who, d, 'view'))
    for (const { may } of told) may.add(mark)
    const answer = await say(thing, 'attributes', { 'BasicInformation.NodeLabel': mark })
    expect({ d, answer }).toEqual({ d, answer: home === undefined ? 0x87 : 0 })
    if (home === undefined) continue
    await vi.waitFor(() => {
      for (const { who, seen, lost } of told)
        expect({ who, told: lost || marksOf(seen).includes(mark) }).toEqual({ who, told: true })
    }, patience)
  }
  for (const { who, home, seen, may } of watching) {
    const marks = marksOf(seen).filter((mark) => !may.has(mark))
    expect({ who, home, marks }).toEqual({ who, home, marks: [] })
  }
}

const marksOf = ({ updates }: Watch) =>
  updates.flatMap(({ payload }) => (payload?.['1/BasicInformation.NodeLabel'] ?? []) as string[])

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
        clock.ms += 1_000
        m.nowMs = clock.nowMs()
        await rooms.home.tick()
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
        remember(m)
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
    return done(at(clients, who).request('POST', `/v1/households/${at(real.homes, h)}/claims`, { body }))
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
    const work = at(clients, who).request<{ code: string }>('POST', path, { body: { history: 'keep' } })
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
    return done(at(clients, who).request('POST', `/v1/households/${at(real.homes, h)}/transfers`, { body }))
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
    return done(at(clients, who).request('POST', path, { body: { history: 'keep' } }))
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
    const leave = { 'BasicInformation.Leave': { FabricIndex: 1 }, $id: randomUUID() }
    return (await say(at(real.things, d), 'events', leave)) === 0
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
    await vi.waitFor(() => expect(rooms.gateway.isOnline(deviceId)).toBe(false), patience)
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
    const work = at(clients, who).request<{ code: string }>('POST', path, { body })
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
    return done(at(clients, who).request('POST', '/v1/invitations/accept', { body }))
  },
  after({ m }, { who, invitation }) {
    const invited = at(m.invitations, invitation)
    invited.used = true
    const grants = new Map<number, 'view' | 'control'>()
    for (const [d, act] of invited.as.named ?? []) {
      const { home, tenure } = at(m.devices, d)
      if (home === invited.home) grants.set(tenure, act)
    }
    at(m.members, invited.home).set(who, { ...invited.as, grants })
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
    const path = `/v1/households/${at(real.homes, h)}/members/${at(accounts, member)}`
    return done(at(clients, who).request('DELETE', path))
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
  async tries({ m }, { who, hours }) {
    const untilMs = Math.ceil((m.nowMs + hours * HOUR_MS) / HOUR_MS) * HOUR_MS
    await rooms.database.transaction((tx) => rooms.registry.holdBack(tx, at(accounts, who), untilMs))
    m.heldBack.set(who, Math.max(untilMs, m.heldBack.get(who) ?? 0))
    for (const each of m.invitations) if (each.by === who) each.used = true
    return true
  },
})

const timePasses = kind<{ minutes: number }>({
  text: ({ minutes }) => `${minutes} minutes pass`,
  all: () => [1, 10, 90, 7 * 60, 25 * 60].map((minutes) => ({ minutes })),
  allows: () => true,
  async tries({ m }, { minutes }) {
    clock.ms += minutes * 60_000
    m.nowMs = clock.nowMs()
    await rooms.home.tick()
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
    const work = at(clients, who).request<Command>('POST', path, { body })
    if (!(await done(work))) return false
    const untilMs = m.nowMs + (it.guarding ? 10_000 : HOUR_MS)
    const { commandId } = await work
    real.asked.push({ commandId, d, tenure: it.tenure })
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
    return done(at(clients, who).request('DELETE', path))
  },
  after({ m }, { past }) {
    at(m.past, past).kept = false
  },
})

const steps = [
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

function toBody({ role, untilMs = 0, hours, named }: Member, things: Real['things']) {
  if (role !== 'guest') return { role }
  const time = (hour: number) => `${String(hour).padStart(2, '0')}:00`
  const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
  const windows = hours && [{ days, from: time(hours[0]), to: time(hours[1]) }]
  return {
    role,
    guest: {
      until: new Date(untilMs).toISOString(),
      ...(windows && { hours: { timeZone: 'UTC', windows } }),
      devices: [...(named ?? [])].map(([d, act]) => ({ deviceId: at(things, d).deviceId, acts: [act] })),
    },
  }
}

async function begin(): Promise<{ model: ReferenceHomes; real: Real }> {
  await Promise.all(accounts.map((id) => rooms.database.transaction((tx) => rooms.registry.endHold(tx, id))))
  // An account is in a few households at most.
  await rooms.database.pool.query('delete from registry.member where account_id = any($1)', [accounts])
  const homes = await Promise.all(
    Array.from({ length: HOMES }, async (_, who) => {
      const made = at(clients, who).request<{ householdId: string }>('POST', '/v1/households', {
        body: { name: 'Home' },
      })
      return (await made).householdId
    }),
  )
  const model: ReferenceHomes = {
    nowMs: clock.nowMs(),
    members: homes.map((_, who) => new Map([[who, { role: 'owner' }]])),
    devices: MODELS.map(
      (name): Device => ({
        guarding: name === 'hearth-lock',
        home: undefined,
        tenure: 0,
        online: false,
        resetMs: undefined,
        waiting: [],
      }),
    ),
    invitations: [],
    offers: [],
    past: [],
    heldBack: new Map(),
  }
  const things = await Promise.all(
    MODELS.map(async (name) => {
      const made = await provisionDevice(rooms, name)
      return {
        ...made,
        socket: undefined as never,
        topic: (of: string) => `hearth/1/${made.deviceId}/${of}`,
        commands: [],
        maybe: new Set<string>(),
      }
    }),
  )
  const real: Real = { homes, things, tenureIds: new Map(), codes: [], asked: [], offered: [], watching: [] }
  for (const [d, { claimCode }] of things.entries()) {
    await comeOnline(model, real, d)
    const body = { code: claimCode.reveal() }
    await at(clients, 0).request('POST', `/v1/households/${at(homes, 0)}/claims`, { body })
    beginTenure(model, d, 0)
    await rememberTenure(model, real, d)
  }
  return { model, real }
}

it('whatever happens in two homes, everybody gets at what is theirs, and at nothing else', async () => {
  const property = fc.asyncProperty(
    fc.commands(steps, { maxCommands: STEPS, size: 'max' }),
    async (commands) => {
      const { model, real } = await begin()
      try {
        await fc.asyncModelRun(() => ({ model, real }), commands)
        // What came late is found by asking once more.
        await probe(model, real)
      } finally {
        for (const { seen } of real.watching) seen.close()
        for (const { socket } of real.things) socket.socket.destroy()
      }
    },
  )
  await fc.assert(property, {
    numRuns: RUNS,
    ...(SEED && { seed: Number(SEED) }),
    unbiased: true,
    interruptAfterTimeLimit: LIMIT_MS,
  })
}, 600_000)
