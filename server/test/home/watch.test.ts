import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { LiveUpdate } from '../../src/home/index.ts'
import { createWorld, type Device, type Person, type World } from './support.ts'

let world: World
let ada: Person
let lock: Device
let seen: LiveUpdate[]
beforeAll(async () => {
  world = await createWorld({ watcherQueue: 10, watcherCheckMs: 3_000 })
})
afterAll(() => world.close())
beforeEach(async () => {
  ada = await world.person()
  lock = await world.device(ada)
  seen = []
})

const watch = (person = ada, into = seen) =>
  world.home.watch(person.accountId, person.householdId, (update) => {
    into.push(update)
  })
const locked = { 'DoorLock.LockState': 1, $id: 'secret-id' }
const gets = (updates: unknown[], into = seen) => vi.waitFor(() => expect(into).toEqual(updates))
/** What was appended has been applied, and whatever would have been told has been told to another watcher. */
async function nothingMore() {
  await world.applied()
  const bob = await world.person()
  const his = await world.device(bob)
  const heard: LiveUpdate[] = []
  const stop = await watch(bob, heard)
  await world.append(his, 'attributes', locked)
  await vi.waitFor(() => expect(heard).toHaveLength(1))
  stop()
}

describe('a watcher', () => {
  it('is told of attributes, events, availability and commands as they are committed, in order', async () => {
    const stop = await watch()
    await world.append(lock, 'attributes', locked)
    await world.append(lock, 'events', { 'DoorLock.DoorLockAlarm': { AlarmCode: 0 } })
    await world.append(lock, 'availability', { online: true })
    world.connect(lock)
    await vi.waitFor(() => expect(seen).toHaveLength(3))
    const { commandId } = await world.lock(ada, lock)
    await world.append(lock, 'results', { id: commandId, status: 'SUCCESS' })
    const common = { deviceId: lock.deviceId, atMs: world.clock.ms, seq: expect.any(Number) }
    await gets([
      { ...common, kind: 'attributes', payload: { '1/DoorLock.LockState': 'Locked' } },
      { ...common, kind: 'events', payload: { '1/DoorLock.DoorLockAlarm': { AlarmCode: 'LockJammed' } } },
      { ...common, kind: 'availability', payload: { online: true } },
      {
        kind: 'command',
        deviceId: lock.deviceId,
        command: expect.objectContaining({ commandId, state: 'queued' }),
      },
      {
        kind: 'command',
        deviceId: lock.deviceId,
        command: expect.objectContaining({ commandId, state: 'succeeded' }),
      },
    ])
    const { entries } = await world.home.timeline(ada.accountId, lock.deviceId, { limit: 200 })
    const bySeq = new Map(entries.map((entry) => [entry.seq, entry.kind]))
    for (const update of seen.slice(0, 3)) {
      expect('seq' in update && bySeq.get(update.seq)).toBe(update.kind)
    }
    stop()
  })

  it('hears nothing of other households, and nothing after it stopped', async () => {
    const bob = await world.person()
    const his = await world.device(bob)
    const stop = await watch()
    await world.append(his, 'attributes', locked)
    await nothingMore()
    stop()
    await world.append(lock, 'attributes', locked)
    await nothingMore()
    expect(seen).toEqual([])
  })

  it('makes only the records of its own tenures be opened', async () => {
    const bob = await world.person()
    const his = await world.device(bob)
    const stop = await watch()
    world.unsealed.clear()
    for (let i = 0; i < 5; i++) await world.append(his, 'attributes', locked)
    for (let i = 0; i < 5; i++) await world.append(his, 'results', { id: his.deviceId, status: 'SUCCESS' })
    await world.append(lock, 'attributes', locked)
    await vi.waitFor(() => expect(seen).toHaveLength(1))
    expect(world.unsealed.get(his.tenure.keyId)).toBeUndefined()
    expect(world.unsealed.get(lock.tenure.keyId)).toBe(1)
    stop()
    world.unsealed.clear()
    await world.append(lock, 'attributes', locked)
    await world.applied()
    expect(world.unsealed.size).toBe(0)
  })

  it('is told only of what was committed', async () => {
    const query = (text: string) => world.database.pool.query(text)
    const stop = await watch()
    await query('create sequence home.test_failures')
    await query(`create function home.test_fail() returns trigger language plpgsql as $$
      begin if nextval('home.test_failures') < 3 then raise 'no'; end if; return null; end $$`)
    await query(`create constraint trigger test_fail after update on home.head
      deferrable initially deferred for each row execute function home.test_fail()`)
    await world.append(lock, 'attributes', locked)
    await nothingMore()
    await query('drop trigger test_fail on home.head')
    expect(seen).toHaveLength(1)
    stop()
  })

  it('that is slow is told to read again, and holds no more than its queue', async () => {
    const gate = Promise.withResolvers<void>()
    const stop = await world.home.watch(ada.accountId, ada.householdId, (update) => {
      seen.push(update)
      return gate.promise
    })
    for (let i = 0; i < 40; i++) await world.append(lock, 'attributes', locked)
    await nothingMore()
    expect(seen).toHaveLength(1)
    gate.resolve()
    await nothingMore()
    expect(seen[1]).toEqual({ kind: 'resync' })
    expect(seen.length).toBeLessThanOrEqual(12)
    stop()
  })

  it('whose listener throws is dropped, and the others go on', async () => {
    await world.home.watch(ada.accountId, ada.householdId, () => {
      throw new Error('gone')
    })
    const before = world.home.stats().home_watchers
    const stop = await watch()
    await world.append(lock, 'attributes', locked)
    await vi.waitFor(() => expect(seen).toHaveLength(1))
    expect(world.home.stats().home_watchers).toBe(before)
    stop()
  })
})

describe('a change of tenure', () => {
  it('cuts the former household off at once, also from what was waiting for it', async () => {
    const gate = Promise.withResolvers<void>()
    const heard: LiveUpdate[] = []
    const stopSlow = await world.home.watch(ada.accountId, ada.householdId, (update) => {
      heard.push(update)
      return gate.promise
    })
    const stop = await watch()
    for (let i = 0; i < 4; i++) await world.append(lock, 'attributes', locked)
    await vi.waitFor(() => expect(seen).toHaveLength(4))
    await world.endTenure(lock)
    const bob = await world.person()
    const next = await world.claim(bob, lock.deviceId, lock.code)
    gate.resolve()
    await world.append(lock, 'attributes', locked)
    await world.append(next, 'attributes', locked)
    await nothingMore()
    expect(heard.map(({ kind }) => kind)).toEqual(['attributes', 'resync'])
    expect(seen.map(({ kind }) => kind)).toEqual([...Array(4).fill('attributes'), 'resync'])
    stop()
    stopSlow()
  })

  it('that another node made is found by the next check', async () => {
    const stop = await watch()
    await world.endTenure(lock)
    world.clock.ms += 3_000
    await world.home.tick()
    await world.append(lock, 'attributes', locked)
    await nothingMore()
    expect(seen).toEqual([{ kind: 'resync' }])
    stop()
  })

  it('that begins one lets those of the household who watch see the device', async () => {
    const stop = await watch()
    const second = await world.device(ada)
    await gets([{ kind: 'resync' }])
    await world.append(second, 'attributes', locked)
    await vi.waitFor(() => expect(seen).toHaveLength(2))
    expect(seen[1]).toMatchObject({ deviceId: second.deviceId, kind: 'attributes' })
    stop()
  })
})

describe('the right to watch', () => {
  it('ends with membership at the next check', async () => {
    await watch()
    await world.leave(ada)
    world.clock.ms += 3_000
    await world.home.tick()
    await gets([{ kind: 'ended' }])
    await world.append(lock, 'attributes', locked)
    await nothingMore()
    expect(seen).toHaveLength(1)
  })

  it('is not relied on when it could not be checked for three intervals', async () => {
    await watch()
    world.clock.ms += 9_001
    await world.append(lock, 'attributes', locked)
    // It may hold: whoever watches comes back, and is asked about anew.
    await gets([{ kind: 'interrupted' }])
  })
})
