import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  type Bus,
  createBus,
  type HouseholdId,
  newId,
  Personal,
  silentLog,
  type TenureId,
} from '../../src/core/index.ts'
import { RawClient } from './raw-client.ts'
import { createWorld, type TestDevice, type World } from './world.ts'

let world: World
let bus: Bus

async function start(resetClosesPerSecond: number): Promise<void> {
  world = await createWorld({
    limits: { resetClosesPerSecond },
    async bus(database) {
      bus = createBus({ database, log: silentLog, beatMs: 20 })
      await bus.start()
      return bus
    },
  })
}
afterEach(async () => {
  await world.gateway.close()
  await bus.close()
  await world.close()
})

async function reset(householdIds?: HouseholdId[]): Promise<void> {
  const { database, registry } = world
  const resetId = randomUUID()
  await database.transaction(async (tx) => {
    await registry.resets.stage(tx, resetId, householdIds ?? [])
    await registry.resets.void(tx, {
      resetId,
      devices: true,
      codes: true,
      listed: householdIds !== undefined,
    })
  })
}

const heardOf = (voids: number) =>
  vi.waitFor(() => expect(world.gateway.stats().gateway_void_sessions).toBe(voids))

describe('sessions that a reset has made void, and that wait for their wave', () => {
  // So slow that nobody is closed before the test has looked.
  beforeEach(() => start(0.001))

  it('say nothing that is kept or acknowledged', async () => {
    const device = await world.held()
    const client = await world.session(device)
    await reset()
    await heardOf(1)
    client.publish(device.topic('attributes'), { 'OnOff.OnOff': true })
    client.send({ cmd: 'pingreq' })
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(client.received).toEqual([])
    expect(await world.published(device)).toEqual([])
    expect(client.ended).toBe(false)
  })

  it('are told nothing', async () => {
    const device = await world.held()
    const client = await world.session(device)
    client.subscribe(device.topic('commands'))
    await client.next('suback')
    const command = () =>
      world.gateway.deliver({
        deviceId: device.deviceId,
        tenureId: device.tenure.tenureId as TenureId,
        commandId: newId(),
        payload: Buffer.from('{}'),
      })
    expect(command()).toBe(true)
    await client.next('publish')
    await reset()
    await heardOf(1)
    expect(command()).toBe(false)
    expect(world.gateway.isOnline(device.deviceId)).toBe(false)
  })

  it('give way to the device itself, which proves who it is and goes on', async () => {
    const device = await world.held()
    const former = await world.session(device)
    await reset()
    await heardOf(1)
    const again = await world.session(device)
    expect((await former.next('disconnect')).reasonCode).toBe(0x8e)
    again.publish(device.topic('attributes'), { 'OnOff.OnOff': true })
    expect((await again.next('puback')).reasonCode ?? 0).toBe(0)
    expect(await world.published(device)).toEqual([{ 'OnOff.OnOff': true }])
  })

  it('are those of the households that it reaches; all others go on, and lose nothing', async () => {
    const [mine, other] = [await world.held(), await world.device()]
    const [client, neighbour] = [await world.session(mine), await world.session(other)]
    const { accountId } = world
    const { householdId } = await world.registry.createHousehold(accountId, {
      name: new Personal('Next door'),
    })
    await world.registry.claim({ accountId, householdId, code: other.claimCode })
    await reset([mine.tenure.householdId])
    await heardOf(1)
    client.publish(mine.topic('attributes'), { 'OnOff.OnOff': true })
    neighbour.publish(other.topic('attributes'), { 'OnOff.OnOff': true })
    await neighbour.next('puback')
    expect(await world.published(other)).toEqual([{ 'OnOff.OnOff': true }])
    expect(client.received).toEqual([])
  })

  it('include one that was being authenticated when the reset came', async () => {
    const device = await world.held()
    await world.session(await world.device())
    const asked = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    world.beforeAuthentication = async () => {
      asked.resolve()
      await released.promise
    }
    const client = await world.connect()
    client.connectAs(device)
    await asked.promise
    await reset()
    // The gateway has heard of it, and knows nothing of who is being authenticated.
    await heardOf(1)
    released.resolve()
    await client.next('connack')
    await heardOf(2)
    client.publish(device.topic('attributes'), { 'OnOff.OnOff': true })
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(client.received).toEqual([])
    expect(await world.published(device)).toEqual([])
  })
})

describe('the waves', () => {
  it('close every void session, so many in a second, with a reason after which a device comes back', async () => {
    await start(50)
    const devices = await world.provision(20)
    const clients = await Promise.all(devices.map((device) => world.session(device)))
    const began = performance.now()
    await reset()
    const reasons = await Promise.all(
      clients.map(async (client) => (await client.next('disconnect')).reasonCode),
    )
    expect(new Set(reasons)).toEqual(new Set([0x89]))
    // 20 at 50 a second: never in one instant.
    expect(performance.now() - began).toBeGreaterThan(200)
    await heardOf(0)
    expect(world.gateway.stats().gateway_closed_by_reset_total).toBe(20)
    const back = await Promise.all(devices.map((device) => world.session(device)))
    for (const client of back) {
      client.send({ cmd: 'pingreq' })
      await client.next('pingresp')
    }
  })

  it('close a session once, however many resets have made it void', async () => {
    await start(50)
    const device = await world.device()
    const client = await world.session(device)
    await Promise.all([reset(), reset(), reset()])
    await client.closed
    await heardOf(0)
    expect(world.gateway.stats().gateway_closed_by_reset_total).toBe(1)
  })
})

describe('TLS after a reset', () => {
  it('resumes no session of before: the key is proved anew', async () => {
    await start(500)
    const device = await world.device()
    const open = (o: { session?: Buffer; maxVersion: 'TLSv1.2' | 'TLSv1.3' }) =>
      RawClient.open({ port: world.ports.tls, version: 5, tls: { ...certificateOf(device), ...o } })
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const session = Promise.withResolvers<Buffer>()
      const first = await open({ maxVersion })
      first.tls.once('session', session.resolve)
      first.connectAs(device)
      expect((await first.next('connack')).reasonCode).toBe(0)
      const ticket = maxVersion === 'TLSv1.2' ? (first.tls.getSession() as Buffer) : await session.promise
      const before = await open({ session: ticket, maxVersion })
      expect(before.tls.isSessionReused()).toBe(true)
      before.socket.destroy()
      await reset()
      await first.closed
      const after = await open({ session: ticket, maxVersion })
      expect(after.tls.isSessionReused()).toBe(false)
      after.connectAs(device)
      expect((await after.next('connack')).reasonCode).toBe(0)
      after.socket.destroy()
    }
  })

  const certificateOf = (device: TestDevice) => ({
    ca: world.registry.authorityCertificate(),
    cert: device.certificatePem,
    key: device.privateKeyPem,
  })
})
