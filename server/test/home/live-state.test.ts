import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createWorld, type World } from './support.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

describe('what a household sees of its devices', () => {
  it('shows the last value of each attribute, with full paths and Matter names', async () => {
    const ada = await world.person()
    const lock = await world.device(ada, 'front door')
    await world.append(lock, 'attributes', { 'DoorLock.LockState': 2, 'DoorLock.ActuatorEnabled': true })
    const first = world.clock.ms
    world.clock.ms += 1_000
    await world.append(lock, 'attributes', { 'DoorLock.LockState': 'Locked', $id: 'a-1' })
    await world.applied()
    const view = await world.home.device(ada.accountId, lock.deviceId)
    expect(view.attributes).toEqual({
      '1/DoorLock.LockState': { value: 'Locked', atMs: world.clock.ms },
      '1/DoorLock.ActuatorEnabled': { value: true, atMs: first },
    })
    expect(view.lastSeenMs).toBe(world.clock.ms)
    expect(view.nickname?.reveal()).toBe('front door')
    expect(view.model).toEqual({ name: 'test-lock', title: 'Test Lock', deviceType: 'DoorLock' })
  })

  it('keeps the last of many records of one batch', async () => {
    const ada = await world.person()
    const lock = await world.device(ada)
    const writer = await world.stream.writer(lock.tenure)
    await Promise.all(
      Array.from({ length: 500 }, (_, n) =>
        writer.append({
          kind: 'attributes',
          payload: Buffer.from(JSON.stringify({ 'DoorLock.AutoRelockTime': n })),
          paths: ['1/DoorLock.AutoRelockTime'],
        }),
      ),
    )
    await world.applied()
    const { attributes } = await world.home.device(ada.accountId, lock.deviceId)
    expect(attributes['1/DoorLock.AutoRelockTime']?.value).toBe(499)
  })

  it('knows from the server itself whether a device is online', async () => {
    const ada = await world.person()
    const lock = await world.device(ada)
    expect((await world.home.device(ada.accountId, lock.deviceId)).online).toBe(false)
    await world.append(lock, 'availability', { online: true })
    await world.applied()
    expect((await world.home.device(ada.accountId, lock.deviceId)).online).toBe(true)
    await world.append(lock, 'availability', { online: false })
    await world.applied()
    const [view] = await world.home.devices(ada.accountId, ada.householdId)
    expect(view).toMatchObject({ deviceId: lock.deviceId, online: false, lastSeenMs: world.clock.ms })
    expect(view?.attributes).toEqual({})
  })

  it('shows a stranger nothing, and says the same as for what does not exist', async () => {
    const ada = await world.person()
    const eve = await world.person()
    const lock = await world.device(ada)
    const refused = { code: 'not_found' }
    await expect(world.home.device(eve.accountId, lock.deviceId)).rejects.toMatchObject(refused)
    await expect(world.home.devices(eve.accountId, ada.householdId)).rejects.toMatchObject(refused)
    await expect(world.home.timeline(eve.accountId, lock.deviceId, { limit: 1 })).rejects.toMatchObject(
      refused,
    )
    await expect(world.home.watch(eve.accountId, ada.householdId, () => {})).rejects.toMatchObject(refused)
  })

  it('shows the next household nothing of the former one', async () => {
    const ada = await world.person()
    const lock = await world.device(ada)
    await world.append(lock, 'attributes', { 'DoorLock.LockState': 'Locked' })
    await world.append(lock, 'events', { 'DoorLock.DoorLockAlarm': { AlarmCode: 'LockJammed' } })
    await world.applied()
    const bob = await world.person()
    await world.endTenure(lock)
    await world.claim(bob, lock.deviceId, lock.code)
    expect((await world.home.device(bob.accountId, lock.deviceId)).attributes).toEqual({})
    expect((await world.home.timeline(bob.accountId, lock.deviceId, { limit: 10 })).entries).toEqual([])
    await expect(world.home.device(ada.accountId, lock.deviceId)).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('a sealed row that does not stand where it was written', () => {
  async function twoLocks() {
    const ada = await world.person()
    const [here, there] = [await world.device(ada), await world.device(ada)]
    for (const lock of [here, there]) {
      await world.append(lock, 'attributes', { 'DoorLock.LockState': 'Locked' })
      await world.append(lock, 'attributes', { 'DoorLock.ActuatorEnabled': true })
    }
    await world.applied()
    return { ada, here, there }
  }
  const broken = { code: 'integrity_failed' }

  it("is not shown as another device's state", async () => {
    const { ada, here, there } = await twoLocks()
    await world.database.pool.query(
      `update home.state h set record_id = t.record_id, sealed = t.sealed from home.state t
       where h.tenure_id = $1 and t.tenure_id = $2`,
      [here.tenure.tenureId, there.tenure.tenureId],
    )
    await expect(world.home.device(ada.accountId, here.deviceId)).rejects.toMatchObject(broken)
  })

  it('is not shown as another attribute of the same device', async () => {
    const { ada, here } = await twoLocks()
    await world.database.pool.query(
      `update home.state h set record_id = t.record_id, sealed = t.sealed, seq = t.seq from home.state t
       where h.tenure_id = $1 and t.tenure_id = $1 and h.slot <> t.slot`,
      [here.tenure.tenureId],
    )
    await expect(world.home.device(ada.accountId, here.deviceId)).rejects.toMatchObject(broken)
  })

  it("is not shown in another device's timeline, nor as another kind of entry", async () => {
    const { ada, here, there } = await twoLocks()
    const read = (lock: typeof here) => world.home.timeline(ada.accountId, lock.deviceId, { limit: 10 })
    await world.database.pool.query(`update home.timeline set kind = 2 where tenure_id = $1`, [
      there.tenure.tenureId,
    ])
    await expect(read(there)).rejects.toMatchObject(broken)
    await expect(read(here)).resolves.toMatchObject({ entries: [{}, {}] })
    await world.database.pool.query(
      `update home.timeline set tenure_id = $2, kind = 1, seq = seq + 1000000 where tenure_id = $1`,
      [there.tenure.tenureId, here.tenure.tenureId],
    )
    await expect(read(here)).rejects.toMatchObject(broken)
  })

  it('is not shown as the outcome of another command', async () => {
    const ada = await world.person()
    const lock = await world.device(ada)
    const [one, other] = [await world.lock(ada, lock), await world.lock(ada, lock)]
    await world.database.pool.query(
      `update home.command h set request = t.request from home.command t where h.command_id = $1 and t.command_id = $2`,
      [one.commandId, other.commandId],
    )
    await expect(world.home.command(ada.accountId, one.commandId)).rejects.toMatchObject(broken)
    await expect(world.home.command(ada.accountId, other.commandId)).resolves.toMatchObject({
      state: 'queued',
    })
  })
})
