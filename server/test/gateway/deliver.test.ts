import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type CommandId, newId } from '../../src/core/index.ts'
import type { Tenure } from '../../src/registry/index.ts'
import type { RawClient } from './raw-client.ts'
import { createWorld, type TestDevice, type World } from './world.ts'

describe('the way down', () => {
  let world: World
  let device: TestDevice & { tenure: Tenure }
  let client: RawClient

  beforeAll(async () => {
    world = await createWorld({ limits: { outgoingMessages: 4, outgoingBytes: 65_536 } })
  })
  afterAll(() => world.close())

  async function subscribed(version: 4 | 5 = 5, filter = 'commands', qos: 0 | 1 | 2 = 1): Promise<void> {
    device = await world.held()
    client = await world.session(device, { version })
    client.subscribe(device.topic(filter), qos)
    await client.next('suback')
  }

  function deliver(tenureId = device.tenure.tenureId, payload = Buffer.from('{"command":"OnOff.On"}')) {
    const commandId = newId<CommandId>()
    const taken = world.gateway.deliver({ deviceId: device.deviceId, tenureId, commandId, payload })
    return { commandId, taken }
  }

  it.each([4, 5] as const)(
    'a command is delivered when the device acknowledges it (level %i)',
    async (version) => {
      await subscribed(version)
      expect(world.ready).toContainEqual([device.deviceId, device.tenure.tenureId])
      const { commandId, taken } = deliver()
      expect(taken).toBe(true)
      const publish = await client.next('publish')
      expect(publish).toMatchObject({ topic: device.topic('commands'), qos: 1, dup: false, retain: false })
      expect(world.delivered).not.toContain(commandId)
      client.send({ cmd: 'puback', messageId: publish.messageId as number, reasonCode: 0 })
      await vi.waitFor(() => expect(world.delivered).toContain(commandId))
    },
  )

  it('a command that the device refuses is not delivered', async () => {
    await subscribed()
    const { commandId } = deliver()
    const { messageId = 0 } = await client.next('publish')
    client.send({ cmd: 'puback', messageId, reasonCode: 0x80 })
    client.send({ cmd: 'pingreq' })
    await client.next('pingresp')
    expect(world.delivered).not.toContain(commandId)
  })

  it('acknowledgements may come in any order, and unknown ones change nothing', async () => {
    await subscribed()
    const first = deliver()
    const second = deliver()
    const ids = [(await client.next('publish')).messageId ?? 0, (await client.next('publish')).messageId ?? 0]
    client.send({ cmd: 'puback', messageId: 999, reasonCode: 0 })
    client.send({ cmd: 'puback', messageId: ids[1] as number, reasonCode: 0 })
    client.send({ cmd: 'puback', messageId: ids[0] as number, reasonCode: 0 })
    await vi.waitFor(() => expect(world.delivered.slice(-2)).toEqual([second.commandId, first.commandId]))
  })

  it('nothing goes to a device that is away, not subscribed, or in another tenure', async () => {
    await subscribed(5, 'errors')
    expect(deliver().taken).toBe(false)
    await subscribed()
    expect(deliver(newId()).taken).toBe(false)
    client.send({ cmd: 'unsubscribe', messageId: 4, unsubscriptions: [device.topic('commands')] })
    await client.next('unsuback')
    expect(deliver().taken).toBe(false)
    client.socket.destroy()
    await vi.waitFor(() => expect(world.gateway.isOnline(device.deviceId)).toBe(false))
    expect(deliver().taken).toBe(false)
  })

  it('the queue of one device is bounded', async () => {
    await subscribed()
    expect([1, 2, 3, 4, 5].map(() => deliver().taken)).toEqual([true, true, true, true, false])
  })

  it('no more is sent at once than the device takes, and nothing larger', async () => {
    device = await world.held()
    client = await world.connect()
    client.connectAs(device, { properties: { receiveMaximum: 1, maximumPacketSize: 400 } })
    await client.next('connack')
    client.subscribe(device.topic('commands'))
    await client.next('suback')
    expect(deliver(device.tenure.tenureId, Buffer.alloc(300, 0x20)).taken).toBe(false)
    deliver()
    deliver()
    const { messageId = 0 } = await client.next('publish')
    client.send({ cmd: 'pingreq' })
    await client.next('pingresp')
    expect(client.received).toEqual([])
    client.send({ cmd: 'puback', messageId, reasonCode: 0 })
    await client.next('publish')
  })

  it('a device that does not read is disconnected', async () => {
    await subscribed(5, 'commands', 0)
    client.socket.pause()
    const payload = Buffer.alloc(60_000, 0x20)
    await vi.waitFor(
      () => {
        deliver(device.tenure.tenureId, payload)
        expect(world.gateway.isOnline(device.deviceId)).toBe(false)
      },
      { interval: 1, timeout: 10_000 },
    )
    expect(world.gateway.stats().gateway_slow_consumers_total).toBe(1)
  })

  it.each([4, 5] as const)('only own topics can be subscribed to (level %i)', async (version) => {
    device = await world.held()
    const other = await world.device()
    client = await world.session(device, { version })
    const wanted: [string, number][] = [
      [device.topic('commands'), 1],
      [device.topic('#'), 1],
      [device.topic('+'), 1],
      [device.topic('attributes'), 1],
      [other.topic('commands'), 0x87],
      ['#', 0x87],
      ['+/#', 0x87],
      ['hearth/1/+/commands', 0x87],
      ['hearth/1/#', 0x87],
      ['$SYS/#', 0x87],
      [`$share/x/${device.topic('commands')}`, 0x9e],
      [device.topic('commands/#'), 0x8f],
      [device.topic('co#'), 0x8f],
    ]
    for (const [filter, code] of wanted) {
      client.subscribe(filter, 2)
      const { granted } = await client.next('suback')
      expect([filter, granted]).toEqual([filter, [version === 5 || code === 1 ? code : 0x80]])
    }
  })

  it('a subscription identifier, or too many filters at once, ends the session', async () => {
    device = await world.held()
    client = await world.session(device)
    const subscription = { topic: device.topic('#'), qos: 1 as const, nl: false, rap: false, rh: 0 }
    client.send({
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: [subscription],
      properties: { subscriptionIdentifier: 1 },
    })
    expect((await client.next('disconnect')).reasonCode).toBe(0xa1)
    client = await world.session(device)
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions: Array(17).fill(subscription) })
    expect((await client.next('disconnect')).reasonCode).toBe(0x97)
  })

  it('`disconnect` ends the session as an administrative action', async () => {
    await subscribed()
    world.gateway.disconnect(device.deviceId, 'the device was disabled')
    const { reasonCode, properties } = await client.next('disconnect')
    expect([reasonCode, properties?.reasonString]).toEqual([0x98, 'the device was disabled'])
    await client.closed
  })
})
