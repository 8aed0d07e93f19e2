import { expect, vi } from 'vitest'
import type { Client } from '../../../src/client/index.ts'
import type { AccountId, TenureId } from '../../../src/core/index.ts'
import type { RawClient } from '../../gateway/raw-client.ts'
import { newCustomer, provisionDevice, type Rooms, startRooms } from '../start-rooms.ts'
import { connected, obeyFrom, roomyLimits, type Thing, type Watch } from '../two-homes.ts'
import {
  beginTenure,
  comeIn,
  type Device,
  HOUR_MS,
  type Member,
  mayOn,
  type ReferenceHomes,
} from './reference.ts'

export const ACCOUNTS = 4
export const HOMES = 2
export const MODELS = ['hearth-bulb', 'hearth-lock'] as const
export const patience = { timeout: 15_000, interval: 5 }
export const at = <T>(list: readonly T[], index: number) => list[index] as T

export interface Watching {
  who: number
  home: number
  seen: Watch
  /** Marks that it may be told of, and those that it must be. */
  may: Set<string>
  /** The right to watch was lost, or could not be relied on: the stream may end. */
  lost: boolean
  ended: boolean
}

/** People, and the processes that they meet at. */
export interface People {
  rooms: Rooms
  clients: Client[]
  accounts: AccountId[]
  /** Stands still within a step, so that the reference knows at which moment everything happens. */
  clock: { ms: number }
}

/** What the reference is compared with. */
export interface Real extends People {
  homes: string[]
  things: (Thing & { commands: string[]; maybe: Set<string> })[]
  tenureIds: Map<number, TenureId>
  codes: string[]
  asked: { commandId: string; d: number; tenure: number; by: number; atMs: number }[]
  offered: string[]
  watching: Watching[]
}

export async function settle(): Promise<People> {
  const clock = { ms: Date.now() }
  const rooms = await startRooms({
    homeClock: { nowMs: () => clock.ms },
    limits: {
      ...roomyLimits,
      commandsPerMinutePerAccount: 100_000,
      requestsPerMinutePerAccount: 1_000_000,
      requestsPerMinutePerAddress: 1_000_000,
    },
  })
  const clients = await Promise.all(Array.from({ length: ACCOUNTS }, () => newCustomer(rooms)))
  const accounts = await Promise.all(
    clients.map(
      async (client) => (await client.request<{ accountId: AccountId }>('GET', '/v1/me')).accountId,
    ),
  )
  return { rooms, clients, accounts, clock }
}

/** Two new homes; the first holds both devices. */
export async function begin(people: People): Promise<{ model: ReferenceHomes; real: Real }> {
  const { rooms, clients, accounts, clock } = people
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
    nowMs: clock.ms,
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
  const real: Real = {
    ...people,
    homes,
    things,
    tenureIds: new Map(),
    codes: [],
    asked: [],
    offered: [],
    watching: [],
  }
  for (const [d, { claimCode }] of things.entries()) {
    await comeOnline(model, real, d)
    const body = { code: claimCode.reveal() }
    await at(clients, 0).request('POST', `/v1/households/${at(homes, 0)}/claims`, { body })
    beginTenure(model, d, 0)
    await rememberTenure(model, real, d)
  }
  // An adult and a guest from the start: most of what can go wrong is about them.
  await join(model, real, 3, { role: 'adult' })
  const named = new Map([
    [0, 'view'],
    [1, 'control'],
  ] as const)
  await join(model, real, 2, { role: 'guest', untilMs: model.nowMs + 24 * HOUR_MS, hours: [8, 16], named })
  return { model, real }
}

async function join(m: ReferenceHomes, real: Real, who: number, as: Member): Promise<void> {
  const path = `/v1/households/${at(real.homes, 0)}/invitations`
  const body = toBody(as, real.things)
  const { code } = await at(real.clients, 0).request<{ code: string }>('POST', path, { body })
  await at(real.clients, who).request('POST', '/v1/invitations/accept', { body: { code } })
  comeIn(m, 0, who, as)
}

/** As the API takes it. */
export function toBody({ role, untilMs = 0, hours, named }: Member, things: Real['things']) {
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

/** Sees every command of a household, and says that it took it. */
function obeying(thing: Real['things'][number], socket: RawClient): void {
  socket.onPacket = (packet) => {
    if (packet.cmd !== 'publish') return
    socket.send({ cmd: 'puback', messageId: packet.messageId ?? 0 })
    const { id, command } = JSON.parse(packet.payload.toString())
    if (!command.startsWith('OperationalCredentials.')) thing.commands.push(id)
  }
}

export async function comeOnline(m: ReferenceHomes, { rooms, things }: Real, d: number): Promise<void> {
  const thing = at(things, d)
  const it = at(m.devices, d)
  thing.socket = await connected(rooms, thing)
  obeying(thing, thing.socket)
  await obeyFrom(thing)
  it.online = true
  await takeWaiting(m, thing, d)
}

/** Whose right was lost may have been refused meanwhile, or not: having it again brings nothing back for certain. */
export function noteLostRights(m: ReferenceHomes): void {
  m.devices.forEach(({ waiting }, d) => {
    for (const each of waiting) each.lost ||= !mayOn(m, each.by, d, 'control')
  })
}

/** What waits for it, of whoever may still ask for it, is sent, and nothing else. */
export async function takeWaiting(
  m: ReferenceHomes,
  thing: Real['things'][number],
  d: number,
): Promise<void> {
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

export const heard = ({ commands, maybe }: Real['things'][number]) => commands.filter((id) => !maybe.has(id))

/** The session of a tenure that has ended is closed by the server, and the device comes back. */
export async function comeBack(m: ReferenceHomes, real: Real, d: number): Promise<void> {
  if (!at(m.devices, d).online) return
  await at(real.things, d).socket.closed
  await comeOnline(m, real, d)
}

export async function rememberTenure(
  m: ReferenceHomes,
  { rooms, things, tenureIds }: Real,
  d: number,
): Promise<void> {
  const tenure = await rooms.registry.currentTenure(at(things, d).deviceId)
  if (tenure) tenureIds.set(at(m.devices, d).tenure, tenure.tenureId)
}
