import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type AccountId, type CommandId, newId, Personal } from '../../src/core/index.ts'
import { createWorld, type World } from './world.ts'

const ONLINE = { online: true }
const OFFLINE = { online: false }

describe('availability and tenures', () => {
  let world: World

  beforeAll(async () => {
    world = await createWorld()
  })
  afterAll(() => world.close())

  const recorded = (device: Parameters<World['availability']>[0], expected: unknown[]) =>
    vi.waitFor(async () => expect(await world.availability(device)).toEqual(expected), { timeout: 5_000 })

  const rows = async () =>
    (await world.database.pool.query('select device_id from gateway.session')).rows.map(
      (row) => row.device_id,
    )

  it('coming and going is recorded; a takeover is neither', async () => {
    const device = await world.held()
    await recorded(device, [ONLINE, OFFLINE])
    const first = await world.session(device)
    await recorded(device, [ONLINE, OFFLINE, ONLINE])
    expect(await rows()).toContain(device.deviceId)
    const second = await world.session(device)
    await first.closed
    second.socket.destroy()
    await recorded(device, [ONLINE, OFFLINE, ONLINE, OFFLINE])
    await vi.waitFor(async () => expect(await rows()).not.toContain(device.deviceId))
    await vi.waitFor(() => expect(world.gateway.stats().gateway_lines).toBe(0))
  })

  it('a device that another node has taken over is not recorded as offline by the first', async () => {
    const device = await world.held()
    const client = await world.session(device)
    await recorded(device, [ONLINE, OFFLINE, ONLINE])
    await world.database.pool.query(
      `update gateway.session set node = 'other', turn = nextval('gateway.turn') where device_id = $1`,
      [device.deviceId],
    )
    client.socket.destroy()
    await vi.waitFor(() => expect(world.gateway.stats().gateway_lines).toBe(0))
    expect(await world.availability(device)).toEqual([ONLINE, OFFLINE, ONLINE])
    expect(await rows()).toContain(device.deviceId)
    await world.database.pool.query('delete from gateway.session')
  })

  it('a silent device is offline after one and a half times its keep-alive', async () => {
    const device = await world.held()
    await recorded(device, [ONLINE, OFFLINE])
    const client = await world.connect()
    client.connectAs(device, { keepalive: 100 })
    await client.next('connack')
    await recorded(device, [ONLINE, OFFLINE, ONLINE])
    await vi.waitFor(() => expect(world.gateway.isOnline(device.deviceId)).toBe(true))
    // One look to see that it has spoken, the time passes, the next look.
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    world.time.offsetMs += 151_000
    expect((await client.next('disconnect')).reasonCode).toBe(0x8d)
    await recorded(device, [ONLINE, OFFLINE, ONLINE, OFFLINE])
  })

  it('after an unclean stop, who returns is still online and who does not is offline after the grace', async () => {
    const [stays, leaves] = [await world.held(), await world.held()]
    await recorded(stays, [ONLINE, OFFLINE])
    await recorded(leaves, [ONLINE, OFFLINE])
    const sessions = [await world.session(stays), await world.session(leaves)]
    await recorded(stays, [ONLINE, OFFLINE, ONLINE])
    await recorded(leaves, [ONLINE, OFFLINE, ONLINE])
    const left = (await world.database.pool.query('select * from gateway.session')).rows
    await world.gateway.close()
    for (const session of sessions) await session.closed
    // What the database looks like when nothing could be written on the way out.
    const before = [await world.availability(stays), await world.availability(leaves)]
    for (const row of left)
      await world.database.pool.query('insert into gateway.session values ($1, $2, $3)', [
        row.node,
        row.device_id,
        row.tenure_id,
      ])
    await world.startGateway()
    const back = await world.session(stays)
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    expect([await world.availability(stays), await world.availability(leaves)]).toEqual(before)
    world.time.offsetMs += 31_000
    await recorded(leaves, [...(before[1] as unknown[]), OFFLINE])
    expect(await world.availability(stays)).toEqual(before[0])
    await vi.waitFor(async () => expect(await rows()).toEqual([stays.deviceId]))
    back.socket.destroy()
  })

  it('a clean stop tells MQTT 5 devices why, and records them as offline', async () => {
    const device = await world.held()
    const client = await world.session(device)
    await recorded(device, [ONLINE, OFFLINE, ONLINE])
    await world.gateway.close()
    expect((await client.next('disconnect')).reasonCode).toBe(0x8b)
    expect((await world.availability(device)).at(-1)).toEqual(OFFLINE)
    expect(await rows()).not.toContain(device.deviceId)
    await world.startGateway()
  })

  it('the first claim makes the session ready for commands in its tenure', async () => {
    const device = await world.device()
    const client = await world.session(device)
    client.subscribe(device.topic('commands'))
    await client.next('suback')
    expect(world.ready.some(([deviceId]) => deviceId === device.deviceId)).toBe(false)
    const { tenureId } = await world.claim(device)
    await vi.waitFor(() => expect(world.ready).toContainEqual([device.deviceId, tenureId]))
    await recorded(device, [ONLINE])
    client.socket.destroy()
  })

  it('when another household takes the device, the session and its commands end, and the new tenure is clean', async () => {
    const device = await world.held()
    const client = await world.session(device)
    client.subscribe(device.topic('commands'))
    await client.next('suback')
    const accountId = newId<AccountId>()
    const { householdId } = await world.registry.createHousehold(accountId, { name: new Personal('Other') })
    const { code } = await world.registry.offerTransfer({
      accountId: world.accountId,
      deviceId: device.deviceId,
      history: 'kept',
    })
    const next = await world.registry.acceptTransfer({ accountId, householdId, code })
    expect((await client.next('disconnect')).reasonCode).toBe(0x98)
    await client.closed
    const delivery = { deviceId: device.deviceId, commandId: newId<CommandId>(), payload: Buffer.from('{}') }
    expect(world.gateway.deliver({ ...delivery, tenureId: device.tenure.tenureId })).toBe(false)
    const again = await world.session(device)
    again.subscribe(device.topic('commands'))
    await again.next('suback')
    expect(world.gateway.deliver({ ...delivery, tenureId: device.tenure.tenureId })).toBe(false)
    expect(world.gateway.deliver({ ...delivery, tenureId: next.tenureId })).toBe(true)
    again.publish(device.topic('attributes'), { 'OnOff.OnOff': true })
    await again.next('puback')
    expect((await world.stored(device)).every((record) => record.tenureId === next.tenureId)).toBe(true)
    again.socket.destroy()
  })

  it('when the tenure ends the session ends, and nothing more is written into that tenure', async () => {
    const device = await world.held()
    const client = await world.session(device)
    const count = async () =>
      (
        await world.database.pool.query('select from stream.record where tenure_id = $1', [
          device.tenure.tenureId,
        ])
      ).rowCount
    await recorded(device, [ONLINE, OFFLINE, ONLINE])
    await world.endTenure(device)
    expect((await client.next('disconnect')).reasonCode).toBe(0x98)
    await client.closed
    await vi.waitFor(async () => expect(await rows()).not.toContain(device.deviceId))
    expect(await count()).toBe(3)
    const again = await world.session(device)
    again.publish(device.topic('attributes'), { 'OnOff.OnOff': true })
    expect((await again.next('puback')).reasonCode).toBe(0x87)
    again.socket.destroy()
    expect(await count()).toBe(3)
  })
})
