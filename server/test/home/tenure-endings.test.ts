import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type CommandId, Personal } from '../../src/core/index.ts'
import type { LiveUpdate } from '../../src/home/index.ts'
import { createWorld, type Device, type Person, type World } from './support.ts'

let world: World
let old: Person
let next: Person
let lock: Device
beforeAll(async () => {
  world = await createWorld()
})
beforeEach(async () => {
  old = await world.person()
  next = await world.person()
  lock = await world.device(old, 'Front door')
})
afterAll(() => world.close())

async function transfer(history: 'kept' | 'destroyed' = 'kept'): Promise<Device> {
  const { deviceId } = lock
  const { code } = await world.registry.offerTransfer({ accountId: old.accountId, deviceId, history })
  const tenure = await world.registry.acceptTransfer({ ...next, code, nickname: new Personal('Gate') })
  return { ...lock, tenure }
}

async function row(commandId: CommandId) {
  const { rows } = await world.database.pool.query(
    'select state, due_ms from home.command where command_id = $1',
    [commandId],
  )
  return rows[0]
}

const code = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: { code: string }) => error.code,
  )

describe('the end of a tenure', () => {
  it('ends what was queued and what was delivered, in its own commit', async () => {
    world.connect(lock)
    const delivered = await world.lock(old, lock)
    world.acknowledge(lock, delivered.commandId)
    await vi.waitFor(async () => expect(await row(delivered.commandId)).toMatchObject({ state: 'delivered' }))
    world.disconnect(lock)
    const queued = await world.lock(old, lock)
    const after = await transfer()
    for (const { commandId } of [queued, delivered]) {
      expect(await row(commandId)).toEqual({ state: 'failed', due_ms: null })
      expect(await code(world.home.command(old.accountId, commandId))).toBe('not_found')
      expect(await code(world.home.command(next.accountId, commandId))).toBe('not_found')
    }
    const sentBefore = world.sent.length
    world.connect(after)
    await world.home.tick()
    expect(world.sent).toHaveLength(sentBefore)
    const { entries } = await world.home.pastTimeline(old.accountId, lock.tenure.tenureId, { limit: 50 })
    expect(entries.map(({ payload }) => (payload as { event: string }).event)).toEqual([
      'abandoned',
      'abandoned',
      'requested',
      'requested',
    ])
  })

  it('is not undone by a result or an acknowledgement that comes late', async () => {
    world.connect(lock)
    const { commandId } = await world.lock(old, lock)
    await transfer()
    world.acknowledge(lock, commandId)
    await world.append(lock, 'results', { id: commandId, status: 'SUCCESS' })
    await world.applied()
    expect(await row(commandId)).toEqual({ state: 'failed', due_ms: null })
    const { entries } = await world.home.timeline(next.accountId, lock.deviceId, { limit: 50 })
    expect(entries).toEqual([])
  })

  it('wakes who waits for a command, and answers that there is nothing', async () => {
    const { commandId } = await world.lock(old, lock)
    const waiting = code(world.home.waitForCommand(old.accountId, commandId, 60_000))
    await transfer()
    expect(await waiting).toBe('not_found')
  })

  it('takes no command any more that was allowed a moment before', async () => {
    world.hooks.allowed = async () => {
      world.hooks.allowed = undefined
      await transfer()
    }
    expect(await code(world.lock(old, lock))).toBe('not_found')
    const { rows } = await world.database.pool.query(
      'select count(*) from home.command where tenure_id = $1',
      [lock.tenure.tenureId],
    )
    expect(rows[0].count).toBe(0)
  })

  it('cuts the former household’s live updates and not the next one’s', async () => {
    const seen: LiveUpdate[] = []
    const stop = await world.home.watch(old.accountId, old.householdId, (update) => void seen.push(update))
    const after = await transfer()
    const others: LiveUpdate[] = []
    const stopOther = await world.home.watch(next.accountId, next.householdId, (u) => void others.push(u))
    await world.append(after, 'attributes', { 'DoorLock.LockState': 'Locked' })
    await world.applied()
    await vi.waitFor(() => expect(others.some(({ kind }) => kind === 'attributes')).toBe(true))
    expect(seen.every(({ kind }) => kind === 'resync')).toBe(true)
    stop()
    stopOther()
  })

  it('the same idempotency key is another command in the next tenure', async () => {
    const asked = { idempotencyKey: 'once' }
    const first = await world.lock(old, lock, asked)
    const { code: transferCode } = await world.registry.offerTransfer({
      accountId: old.accountId,
      deviceId: lock.deviceId,
      history: 'kept',
    })
    // The same person, in another home of theirs.
    const home = await world.registry.createHousehold(old.accountId, { name: new Personal('Other') })
    const tenure = await world.registry.acceptTransfer({
      accountId: old.accountId,
      householdId: home.householdId,
      code: transferCode,
    })
    const second = await world.lock(old, { ...lock, tenure }, asked)
    expect(second.commandId).not.toBe(first.commandId)
  })

  it('with its history kept leaves the household its timeline, and nobody else', async () => {
    await world.append(lock, 'attributes', { 'DoorLock.LockState': 'Locked' })
    await world.applied()
    const { tenureId } = lock.tenure
    expect(await code(world.home.pastTimeline(old.accountId, tenureId, { limit: 5 }))).toBe('not_found')
    await transfer()
    const { entries } = await world.home.pastTimeline(old.accountId, tenureId, { limit: 5 })
    expect(entries.map(({ payload }) => payload)).toEqual([{ '1/DoorLock.LockState': 'Locked' }])
    expect(await code(world.home.pastTimeline(next.accountId, tenureId, { limit: 5 }))).toBe('not_found')
    expect(await code(world.home.timeline(old.accountId, lock.deviceId, { limit: 5 }))).toBe('not_found')
    expect((await world.home.device(next.accountId, lock.deviceId)).attributes).toEqual({})
  })

  it('with its history destroyed leaves no row of it, at once or later', async () => {
    for (const when of ['at once', 'later'] as const) {
      lock = await world.device(old)
      await world.append(lock, 'attributes', { 'DoorLock.LockState': 'Locked' })
      await world.applied()
      await world.lock(old, lock)
      await transfer(when === 'at once' ? 'destroyed' : 'kept')
      const { tenureId } = lock.tenure
      if (when === 'later') await world.registry.destroyHistory(old.accountId, tenureId)
      for (const table of ['command', 'state', 'timeline']) {
        const { rows } = await world.database.pool.query(
          `select count(*) from home.${table} where tenure_id = $1`,
          [tenureId],
        )
        expect([when, table, rows[0].count]).toEqual([when, table, 0])
      }
      expect(await code(world.home.pastTimeline(old.accountId, tenureId, { limit: 5 }))).toBe('not_found')
    }
  })

  it('and destroyed keeps nothing of what was on its way into the timeline then', async () => {
    const rows = async () => {
      const { rows } = await world.database.pool.query(
        `select tenure_id from home.state where tenure_id = $1
         union all select tenure_id from home.timeline where tenure_id = $1`,
        [lock.tenure.tenureId],
      )
      return rows.length
    }
    const { keyId } = lock.tenure
    const client = await world.database.pool.connect()
    await client.query('begin')
    await client.query('select from home.head for update')
    await world.append(lock, 'attributes', { 'DoorLock.LockState': 'Locked' })
    await vi.waitFor(async () => {
      const { rows } = await world.database.pool.query(
        "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
      )
      expect(rows).toHaveLength(1)
    })
    await transfer('destroyed')
    await client.query('commit')
    client.release()
    await world.applied()
    expect(await rows()).toBe(2)
    expect(await code(world.keys.open(keyId))).toBe('not_found')
    world.clock.ms += 60_000
    await world.home.tick()
    expect(await rows()).toBe(0)
  })
})
