import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { AppError, Secret } from '../../src/core/index.ts'
import type { GatewayStream } from '../../src/gateway/index.ts'
import type { AppendRequest } from '../../src/stream/index.ts'
import type { RawClient } from './raw-client.ts'
import { createWorld, type TestDevice, type World } from './world.ts'

const ON = { 'OnOff.OnOff': true }
const OFF = { 'OnOff.OnOff': false }

/** The real stream, with a hand on its appends. */
class Valve {
  congested: boolean | undefined
  delayMs: ((request: AppendRequest) => number) | undefined
  fail: AppError | undefined
  drain: () => void = () => {}

  wrap(stream: GatewayStream): GatewayStream {
    const valve = this
    return {
      writer: async (tenure) => {
        const writer = await stream.writer(tenure)
        return {
          close: () => writer.close(),
          append: async (request) => {
            if (valve.fail) throw valve.fail
            await writer.append(request)
            const delayMs = valve.delayMs?.(request) ?? 0
            if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs))
          },
        }
      },
      recentMessageKeys: (tenureId, limit) => stream.recentMessageKeys(tenureId, limit),
      get congested() {
        return valve.congested ?? stream.congested
      },
      onDrain: (callback) => {
        valve.drain = callback
        return stream.onDrain(callback)
      },
    }
  }
}

describe('the way up', () => {
  const valve = new Valve()
  let world: World
  let device: TestDevice
  let client: RawClient

  beforeAll(async () => {
    world = await createWorld({ wrapStream: (stream) => valve.wrap(stream) })
  })
  afterAll(() => world.close())

  async function held(version: 4 | 5 = 5): Promise<void> {
    device = await world.held()
    client = await world.session(device, { version })
  }
  async function again(version: 4 | 5 = 5): Promise<void> {
    client.socket.destroy()
    await client.closed
    client = await world.session(device, { version })
  }

  it.each([4, 5] as const)('a publish is acknowledged once it is stored (level %i)', async (version) => {
    await held(version)
    client.publish(device.topic('attributes'), ON, { messageId: 7 })
    expect((await client.next('puback')).messageId).toBe(7)
    expect(await world.published(device)).toEqual([ON])
  })

  it('QoS 0 is stored too, without an answer', async () => {
    await held()
    client.publish(device.topic('attributes'), ON, { qos: 0 })
    await vi.waitFor(async () => expect(await world.published(device)).toEqual([ON]))
    expect(client.received).toEqual([])
  })

  it('what the model does not know is refused with a readable reason, and acknowledged to 3.1.1', async () => {
    await held()
    for (const payload of [
      { 'OnOff.OnOff': 'yes' },
      { 'Nothing.Here': 1 },
      '{',
      '7',
      Buffer.from([0xff, 0xfe]),
    ]) {
      client.publish(device.topic('attributes'), payload)
      const puback = await client.next('puback')
      expect(puback.reasonCode).toBe(0x99)
      expect(puback.properties?.reasonString).toMatch(/\w/)
    }
    await again(4)
    client.subscribe(device.topic('errors'))
    await client.next('suback')
    client.publish(device.topic('attributes'), { 'OnOff.OnOff': 'yes' }, { messageId: 3 })
    expect((await client.next('puback')).messageId).toBe(3)
    const { payload } = await client.next('publish')
    expect(JSON.parse(payload.toString())).toMatchObject({ topic: device.topic('attributes') })
    expect(await world.published(device)).toEqual([])
  })

  it('nothing is kept of a device that nobody holds; after the claim the same session goes on', async () => {
    device = await world.device()
    client = await world.session(device)
    client.publish(device.topic('attributes'), ON)
    const puback = await client.next('puback')
    expect(puback.reasonCode).toBe(0x87)
    expect(puback.properties?.reasonString).toContain('not claimed')
    await world.claim(device)
    client.publish(device.topic('attributes'), OFF, { messageId: 2 })
    expect((await client.next('puback')).reasonCode ?? 0).toBe(0)
    expect(await world.published(device)).toEqual([OFF])
  })

  it('a foreign topic is refused: in MQTT 5 by its PUBACK, in 3.1.1 by closing', async () => {
    await held()
    const foreign = (await world.device()).topic('attributes')
    client.publish(foreign, ON)
    expect((await client.next('puback')).reasonCode).toBe(0x87)
    client.publish(device.topic('commands'), ON)
    expect((await client.next('puback')).reasonCode).toBe(0x87)
    client.publish(device.topic('whatever'), ON)
    expect((await client.next('puback')).reasonCode).toBe(0x90)
    client.publish(foreign, ON, { qos: 0 })
    expect((await client.next('disconnect')).reasonCode).toBe(0x87)
    await again(4)
    client.publish(foreign, ON)
    expect(await client.end()).toEqual([])
    expect(await world.published(device)).toEqual([])
  })

  it.each([
    ['retain', { retain: true }, 0x9a],
    ['QoS 2', { qos: 2 as const }, 0x9b],
    ['a topic alias', { properties: { topicAlias: 1 } }, 0x94],
  ])('%s ends the session and stores nothing', async (what, fields, code) => {
    await held()
    client.publish(device.topic('attributes'), ON, fields)
    expect((await client.next('disconnect')).reasonCode).toBe(code)
    await client.closed
    if (what !== 'a topic alias') {
      await again(4)
      client.publish(device.topic('attributes'), ON, fields)
      expect(await client.end()).toEqual([])
    }
    expect(await world.published(device)).toEqual([])
  })

  it('a packet beyond the announced size ends the session before it has come', async () => {
    await held()
    client.bytes(Buffer.from([0x32, 0x80, 0x80, 0x04]))
    expect((await client.next('disconnect')).reasonCode).toBe(0x95)
  })

  it('acknowledges in the order of receipt, whatever is stored first', async () => {
    await held()
    valve.delayMs = ({ payload }) => (payload.includes('true') ? 60 : 0)
    client.publish(device.topic('attributes'), ON, { messageId: 1 })
    client.publish(device.topic('attributes'), OFF, { messageId: 2 })
    client.publish(device.topic('attributes'), { 'OnOff.OnOff': 1 }, { messageId: 3 })
    const ids: (number | undefined)[] = []
    for (let index = 0; index < 3; index++) ids.push((await client.next('puback')).messageId)
    valve.delayMs = undefined
    expect(ids).toEqual([1, 2, 3])
  })

  it('more than Receive Maximum unacknowledged ends an MQTT 5 session, and makes 3.1.1 wait', async () => {
    await held()
    valve.delayMs = () => 100
    for (let id = 1; id <= 40; id++) client.publish(device.topic('attributes'), ON, { messageId: id })
    expect((await client.next('disconnect')).reasonCode).toBe(0x93)
    await again(4)
    for (let id = 1; id <= 100; id++) client.publish(device.topic('attributes'), OFF, { messageId: id })
    const ids: (number | undefined)[] = []
    for (let index = 0; index < 100; index++) ids.push((await client.next('puback')).messageId)
    valve.delayMs = undefined
    expect(ids).toEqual(Array.from({ length: 100 }, (_, index) => index + 1))
  })

  it('a failed append closes without PUBACK, and the resend is stored once', async () => {
    await held()
    valve.fail = new AppError('unavailable')
    client.publish(device.topic('attributes'), ON, { messageId: 5 })
    expect((await client.next('disconnect')).reasonCode).toBe(0x89)
    await client.closed
    expect(client.received.filter(({ cmd }) => cmd === 'puback')).toEqual([])
    valve.fail = undefined
    await again()
    client.publish(device.topic('attributes'), ON, { messageId: 5, dup: true })
    await client.next('puback')
    expect(await world.published(device)).toEqual([ON])
  })

  it('while the stream is congested nothing is taken; after it has drained all is', async () => {
    await held()
    valve.congested = true
    client.publish(device.topic('attributes'), ON, { messageId: 1 })
    client.publish(device.topic('attributes'), OFF, { messageId: 2 })
    await vi.waitFor(() => expect(world.gateway.stats().gateway_congested_connections).toBe(1))
    expect(await world.published(device)).toEqual([])
    valve.congested = undefined
    valve.drain()
    await client.next('puback')
    expect((await client.next('puback')).messageId).toBe(2)
    expect(await world.published(device)).toEqual([ON, OFF])
  })

  describe('resends', () => {
    it('a resend with DUP is stored once, on a later connection and after a restart of the gateway', async () => {
      await held()
      client.publish(device.topic('attributes'), ON, { messageId: 11 })
      await client.next('puback')
      await again()
      client.publish(device.topic('attributes'), ON, { messageId: 11, dup: true })
      await client.next('puback')
      await world.gateway.close()
      await world.startGateway()
      client = await world.session(device)
      client.publish(device.topic('attributes'), ON, { messageId: 11, dup: true })
      await client.next('puback')
      expect(await world.published(device)).toEqual([ON])
    })

    it('a resend is stored once though the root key was replaced meanwhile', async () => {
      await held()
      client.publish(device.topic('attributes'), ON, { messageId: 13 })
      await client.next('puback')
      client.publish(device.topic('attributes'), { ...OFF, $id: 'k-1' }, { messageId: 14 })
      await client.next('puback')
      await world.gateway.close()
      world.resendSecrets.unshift(new Secret('the secret of a newer root key'))
      await world.startGateway()
      client = await world.session(device)
      client.publish(device.topic('attributes'), ON, { messageId: 13, dup: true })
      await client.next('puback')
      client.publish(device.topic('attributes'), { ...OFF, $id: 'k-1' }, { messageId: 15 })
      await client.next('puback')
      expect(await world.published(device)).toEqual([ON, { ...OFF, $id: 'k-1' }])
    })

    it('a resend is recognised while the first is still on its way', async () => {
      await held()
      valve.delayMs = () => 50
      client.publish(device.topic('attributes'), ON, { messageId: 12 })
      await vi.waitFor(async () => expect(await world.published(device)).toHaveLength(1))
      const second = await world.session(device)
      second.publish(device.topic('attributes'), ON, { messageId: 12, dup: true })
      await second.next('puback')
      valve.delayMs = undefined
      expect(await world.published(device)).toEqual([ON])
      second.socket.destroy()
    })

    it('a new message with a packet identifier and payload used before is stored', async () => {
      await held()
      for (let round = 0; round < 2; round++) {
        client.publish(device.topic('attributes'), ON, { messageId: 1 })
        await client.next('puback')
      }
      expect(await world.published(device)).toEqual([ON, ON])
    })

    it('DUP with another payload, topic or packet identifier is a message of its own', async () => {
      await held()
      client.publish(device.topic('attributes'), ON, { messageId: 1 })
      await client.next('puback')
      client.publish(device.topic('attributes'), OFF, { messageId: 1, dup: true })
      await client.next('puback')
      client.publish(device.topic('attributes'), ON, { messageId: 2, dup: true })
      await client.next('puback')
      expect(await world.published(device)).toEqual([ON, OFF, ON])
    })

    it('the same $id is stored once: at once, later, with QoS 0 and on another connection', async () => {
      await held()
      const message = { ...ON, $id: 'm-1' }
      client.publish(device.topic('attributes'), message, { messageId: 1 })
      client.publish(device.topic('attributes'), message, { messageId: 2 })
      client.publish(device.topic('attributes'), message, { qos: 0 })
      await client.next('puback')
      await client.next('puback')
      await again(4)
      client.publish(device.topic('attributes'), message, { messageId: 3 })
      await client.next('puback')
      client.publish(device.topic('attributes'), { ...ON, $id: 'm-2' }, { messageId: 4 })
      await client.next('puback')
      expect(await world.published(device)).toEqual([message, { ...ON, $id: 'm-2' }])
    })

    it('what recognises a resend can not be guessed from the store', async () => {
      await held()
      client.publish(device.topic('attributes'), ON, { messageId: 1 })
      await client.next('puback')
      const other = await world.held()
      const otherClient = await world.session(other)
      otherClient.publish(other.topic('attributes'), ON, { messageId: 1 })
      await otherClient.next('puback')
      const { rows } = await world.database.pool.query(
        'select message_key from stream.record where device_id = any($1) and message_key is not null',
        [[device.deviceId, other.deviceId]],
      )
      expect(new Set(rows.map((row) => row.message_key.toString('hex'))).size).toBe(2)
      otherClient.socket.destroy()
    })
  })
})
