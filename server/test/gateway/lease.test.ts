import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Bus, createBus, silentLog } from '../../src/core/index.ts'
import { createWorld, type World } from './world.ts'

const GRACE_MS = 31_000

describe('a gateway and its lease', () => {
  let world: World
  let bus: Bus
  let passedMs = 0

  beforeEach(async () => {
    passedMs = 0
    world = await createWorld({
      async bus(database) {
        bus = createBus({
          database,
          log: silentLog,
          beatMs: 20,
          monotonicMs: () => performance.now() + passedMs,
        })
        await bus.start()
        return bus
      },
    })
  })
  afterEach(async () => {
    await world.gateway.close()
    await bus.close()
    await world.close()
  })

  it('a publish after its end is neither acknowledged nor kept, before anybody has noticed the end', async () => {
    const device = await world.held()
    const client = await world.session(device)
    passedMs += 3_000
    client.publish(device.topic('attributes'), { 'OnOff.OnOff': true })
    expect((await client.next('disconnect')).reasonCode).toBe(0x9c)
    expect(await world.published(device)).toEqual([])
    await vi.waitFor(() => expect(bus.lease.holds()).toBe(true))
    const again = await world.session(device)
    again.publish(device.topic('attributes'), { 'OnOff.OnOff': true })
    await again.next('puback')
    again.socket.destroy()
  })

  it('a device that was authenticated before its end is not let in after it', async () => {
    const device = await world.held()
    const asked = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    world.beforeAuthentication = async () => {
      asked.resolve()
      await released.promise
    }
    const client = await world.connect()
    client.connectAs(device)
    await asked.promise
    passedMs += 3_000
    await vi.waitFor(() => expect(bus.lease.term).toBe(1))
    await vi.waitFor(() => expect(bus.lease.holds()).toBe(true))
    released.resolve()
    expect((await client.next('connack')).reasonCode).toBe(0x9c)
  })

  it('a device whose tenure ended unheard while it was authenticated does not enter that tenure', async () => {
    const device = await world.held()
    const asked = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    world.beforeAuthentication = async () => {
      asked.resolve()
      await released.promise
    }
    const client = await world.connect()
    client.connectAs(device)
    await asked.promise
    // As when the hint is lost with the connection that listens.
    const { bus_gaps_total: before = 0 } = bus.stats()
    await withoutTriggers(world, () => world.endTenure(device, false))
    await world.database.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'hearthlock-bus' and datname = current_database()`,
    )
    await vi.waitFor(() => expect(bus.stats().bus_gaps_total).toBeGreaterThan(before))
    released.resolve()
    expect((await client.next('connack')).reasonCode).toBe(0)
    client.publish(device.topic('attributes'), { 'OnOff.OnOff': true })
    expect((await client.next('puback')).reasonCode).toBe(0x87)
    client.socket.destroy()
  })

  it('of a node that is gone, devices that do not return are recorded as offline; those of a living one are left to it', async () => {
    const [left, kept] = [await world.held(), await world.held()]
    const before = [await world.availability(left), await world.availability(kept)]
    const other = createBus({ database: world.database, log: silentLog, beatMs: 20 })
    await other.start()
    for (const [node, device] of [
      [other.node, kept],
      ['gone', left],
    ] as const)
      await world.database.pool.query(
        'insert into gateway.session (node, device_id, tenure_id) values ($1, $2, $3)',
        [node, device.deviceId, device.tenure.tenureId],
      )
    world.time.offsetMs += GRACE_MS
    await vi.waitFor(
      async () =>
        expect(await world.availability(left)).toEqual([...(before[0] as unknown[]), { online: false }]),
      { timeout: 8_000 },
    )
    const nodes = async () => (await world.database.pool.query('select node from gateway.session')).rows
    await vi.waitFor(async () => expect(await nodes()).toEqual([{ node: other.node }]))
    expect(await world.availability(kept)).toEqual(before[1])
    await other.close()
  })
})

async function withoutTriggers(world: World, work: () => Promise<void>): Promise<void> {
  await world.database.pool.query('alter table registry.tenure disable trigger user')
  await work()
  await world.database.pool.query('alter table registry.tenure enable trigger user')
}
