import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { newId } from '../../src/core/index.ts'
import type { LiveUpdate } from '../../src/home/index.ts'
import type { GrantedAct } from '../../src/registry/index.ts'
import { createWorld, type Device, type Person, type World } from './support.ts'

const MINUTE_MS = 60_000
const locked = { 'DoorLock.LockState': 1 }

let world: World
let ada: Person
let lock: Device
let seen: LiveUpdate[]
beforeAll(async () => {
  world = await createWorld({ watcherCheckMs: 3_000 })
})
afterAll(() => world.close())
beforeEach(async () => {
  ada = await world.person()
  lock = await world.device(ada)
  seen = []
})

/** A guest of Ada's for so many minutes, who may do this with the lock. */
async function guest(minutes: number, acts: GrantedAct[] = ['view']): Promise<Person> {
  const schedule = { untilMs: world.clock.ms + minutes * MINUTE_MS }
  const devices = [{ deviceId: lock.deviceId, acts }]
  const { code } = await world.registry.invite({
    ...ada,
    as: { role: 'guest', guest: { schedule, devices } },
    hours: 1,
  })
  const cleo = { accountId: newId<Person['accountId']>(), householdId: ada.householdId }
  await world.registry.acceptInvitation(cleo.accountId, code)
  return cleo
}
const watch = ({ accountId, householdId }: Person, into = seen) =>
  world.home.watch(accountId, householdId, (update) => {
    into.push(update)
  })
const remove = ({ accountId }: Person) => world.registry.removeMember({ ...ada, memberId: accountId })
/** All that was appended has been handed over to somebody who may see it. */
async function handedOver(heard: LiveUpdate[], count: number) {
  await vi.waitFor(() => expect(heard).toHaveLength(count))
}

describe('what happened before a guest came', () => {
  it('is on no page of the guest’s timeline, and on all of the household’s', async () => {
    for (let n = 1; n <= 5; n++) await world.append(lock, 'attributes', { 'DoorLock.AutoRelockTime': n })
    await world.applied()
    await world.lock(ada, lock)
    // Before the command expires: that would happen after the guest came.
    world.clock.ms += MINUTE_MS / 2
    const cleo = await guest(10)
    const read = (person: Person, page: { limit: number; before?: number }) =>
      world.home.timeline(person.accountId, lock.deviceId, page)
    expect(await read(cleo, { limit: 3 })).toEqual({ entries: [] })
    for (let n = 6; n <= 9; n++) await world.append(lock, 'attributes', { 'DoorLock.AutoRelockTime': n })
    await world.applied()
    const whole = await read(ada, { limit: 50 })
    expect(whole.entries).toHaveLength(10)
    const after = whole.entries.slice(0, 4)
    expect(await read(cleo, { limit: 50 })).toEqual({ entries: after })
    expect(await read(cleo, { limit: 6 })).toEqual({ entries: after })
    const first = await read(cleo, { limit: 3 })
    expect(first).toEqual({ entries: after.slice(0, 3), next: after[2]?.seq })
    expect(await read(cleo, { limit: 3, before: after[2]?.seq ?? 0 })).toEqual({ entries: after.slice(3) })
    expect(await read(cleo, { limit: 3, before: after[3]?.seq ?? 0 })).toEqual({ entries: [] })
  })

  it('is no command that the guest can ask for by its id', async () => {
    const { commandId } = await world.lock(ada, lock)
    world.clock.ms += MINUTE_MS
    const cleo = await guest(10)
    await expect(world.home.command(cleo.accountId, commandId)).rejects.toMatchObject({ code: 'not_found' })
    const { commandId: later } = await world.lock(ada, lock)
    expect(await world.home.command(cleo.accountId, later)).toMatchObject({ commandId: later })
  })

  it('is not told live when it comes late', async () => {
    world.connect(lock)
    const { commandId } = await world.lock(ada, lock)
    world.clock.ms += MINUTE_MS
    const cleo = await guest(10)
    const adas: LiveUpdate[] = []
    const stops = [await watch(ada, adas), await watch(cleo)]
    await world.append(lock, 'results', { id: commandId, status: 'SUCCESS' })
    await handedOver(adas, 1)
    world.clock.ms -= MINUTE_MS
    await world.append(lock, 'attributes', locked)
    await handedOver(adas, 2)
    world.clock.ms += MINUTE_MS
    await world.append(lock, 'attributes', locked)
    await handedOver(adas, 3)
    await handedOver(seen, 1)
    expect(seen).toEqual(adas.slice(2))
    for (const stop of stops) stop()
  })
})

describe('a guest who watches', () => {
  it('is given nothing from the moment on at which the time is over, and is told soon after', async () => {
    const cleo = await guest(1)
    const adas: LiveUpdate[] = []
    const [stop] = [await watch(ada, adas), await watch(cleo)]
    await world.append(lock, 'attributes', locked)
    await handedOver(adas, 1)
    await handedOver(seen, 1)
    world.clock.ms += MINUTE_MS
    await world.append(lock, 'attributes', locked)
    await handedOver(adas, 2)
    expect(seen).toHaveLength(1)
    await world.home.tick()
    expect(seen.slice(1)).toEqual([{ kind: 'ended' }])
    stop()
  })

  it('is given nothing of devices that were not granted', async () => {
    const other = await world.device(ada)
    const cleo = await guest(10)
    const adas: LiveUpdate[] = []
    const stops = [await watch(ada, adas), await watch(cleo)]
    await world.append(other, 'attributes', locked)
    await world.append(lock, 'attributes', locked)
    await handedOver(adas, 2)
    await handedOver(seen, 1)
    expect(seen[0]).toMatchObject({ deviceId: lock.deviceId })
    for (const stop of stops) stop()
  })

  it('is cut off when removed, before the removal is answered, also from what was waiting', async () => {
    const cleo = await guest(10)
    const gate = Promise.withResolvers<void>()
    const heard: LiveUpdate[] = []
    await world.home.watch(cleo.accountId, cleo.householdId, (update) => {
      heard.push(update)
      return gate.promise
    })
    const adas: LiveUpdate[] = []
    const stop = await watch(ada, adas)
    for (let times = 0; times < 3; times++) await world.append(lock, 'attributes', locked)
    await handedOver(adas, 3)
    await remove(cleo)
    gate.resolve()
    await world.append(lock, 'attributes', locked)
    await handedOver(adas, 4)
    await vi.waitFor(() => expect(heard.map(({ kind }) => kind)).toEqual(['attributes', 'ended']))
    stop()
  })

  it('goes on when somebody else is removed, and misses nothing meanwhile', async () => {
    const [cleo, dora] = [await guest(10), await guest(10)]
    const stop = await watch(cleo)
    await Promise.all([remove(dora), world.append(lock, 'attributes', locked)])
    await world.append(lock, 'events', { 'DoorLock.DoorLockAlarm': { AlarmCode: 0 } })
    await vi.waitFor(() => expect(seen.map(({ kind }) => kind)).toEqual(['attributes', 'events']))
    stop()
  })

  it('sees a device from the moment on at which it is granted', async () => {
    const other = await world.device(ada)
    const cleo = await guest(10)
    const stop = await watch(cleo)
    const schedule = { untilMs: world.clock.ms + 10 * MINUTE_MS }
    const devices = [{ deviceId: other.deviceId, acts: ['view' as const] }]
    const to = { role: 'guest', guest: { schedule, devices } } as const
    await world.registry.changeMember({ ...ada, memberId: cleo.accountId, to })
    await vi.waitFor(() => expect(seen).toEqual([{ kind: 'resync' }]))
    await world.append(lock, 'attributes', locked)
    await world.append(other, 'attributes', locked)
    await vi.waitFor(() => expect(seen).toHaveLength(2))
    expect(seen[1]).toMatchObject({ deviceId: other.deviceId })
    stop()
  })
})

describe('a command of a guest', () => {
  const credential = {
    OperationType: 'Add',
    Credential: { CredentialType: 'Pin', CredentialIndex: 4 },
    CredentialData: Buffer.from('739154').toString('base64'),
    UserIndex: 3,
    UserStatus: null,
    UserType: null,
  }
  const setCode = ({ accountId }: Person) =>
    world.home.requestCommand({
      accountId,
      deviceId: lock.deviceId,
      command: 'DoorLock.SetCredential',
      arguments: credential,
    })

  it('opens the lock, and gives it no PIN code that works when the guest’s time is over', async () => {
    const cleo = await guest(10, ['control'])
    world.connect(lock)
    const before = world.sent.length
    await expect(setCode(cleo)).rejects.toMatchObject({
      code: 'command_refused',
      message: expect.stringMatching(/owners and adults/),
    })
    expect(world.sent).toHaveLength(before)
    await world.lock(cleo, lock)
    await setCode(ada)
    expect(world.sent.slice(before).map(({ message }) => message.command)).toEqual([
      'DoorLock.LockDoor',
      'DoorLock.SetCredential',
    ])
  })

  it('who was an adult when it was asked for, and that an adult alone may send, is not sent', async () => {
    const bob = { accountId: newId<Person['accountId']>(), householdId: ada.householdId }
    const { code } = await world.registry.invite({ ...ada, as: { role: 'adult' }, hours: 1 })
    await world.registry.acceptInvitation(bob.accountId, code)
    const [args, command] = [{ UserIndex: 1 }, 'DoorLock.ClearUser']
    const { commandId } = await world.lock(bob, lock, { command, arguments: args })
    const { commandId: other } = await world.lock(bob, lock)
    const guestTerms = {
      schedule: { untilMs: world.clock.ms + 10 * MINUTE_MS },
      devices: [{ deviceId: lock.deviceId, acts: ['control' as const] }],
    }
    const to = { role: 'guest', guest: guestTerms } as const
    await world.registry.changeMember({ ...ada, memberId: bob.accountId, to })
    const before = world.sent.length
    world.connect(lock)
    await vi.waitFor(() => expect(world.sent.slice(before)).toMatchObject([{ commandId: other }]))
    expect(await world.home.command(ada.accountId, commandId)).toMatchObject({
      state: 'failed',
      status: 'UNSUPPORTED_ACCESS',
    })
  })

  it('that waits for its device is not sent any more when the guest was removed', async () => {
    const cleo = await guest(10, ['control'])
    const before = world.sent.length
    const { commandId } = await world.lock(cleo, lock)
    await remove(cleo)
    world.connect(lock)
    await vi.waitFor(async () => {
      const { rows } = await world.database.pool.query(
        'select state from home.command where command_id = $1',
        [commandId],
      )
      expect(rows).toEqual([{ state: 'failed' }])
    })
    expect(world.sent).toHaveLength(before)
  })

  it('that waits is not sent when the guest’s time is over', async () => {
    const cleo = await guest(1, ['control'])
    const before = world.sent.length
    world.clock.ms += MINUTE_MS / 2
    await world.lock(cleo, lock)
    world.clock.ms += MINUTE_MS / 2
    world.connect(lock)
    await world.home.tick()
    await vi.waitFor(async () => {
      const { rows } = await world.database.pool.query(
        'select state from home.command where tenure_id = $1',
        [lock.tenure.tenureId],
      )
      expect(rows).toEqual([{ state: 'failed' }])
    })
    expect(world.sent).toHaveLength(before)
  })

  it('is refused where only viewing was granted', async () => {
    const cleo = await guest(10)
    await expect(world.lock(cleo, lock)).rejects.toMatchObject({ code: 'not_found' })
  })

  it('has no outcome for whoever waits for it after having been removed', async () => {
    const cleo = await guest(10, ['control'])
    const { commandId } = await world.lock(cleo, lock)
    const waiting = world.home.waitForCommand(cleo.accountId, commandId, 20_000)
    await remove(cleo)
    await expect(waiting).rejects.toMatchObject({ code: 'not_found' })
  })
})
