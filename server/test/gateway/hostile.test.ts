import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { GatewayLimits } from '../../src/gateway/index.ts'
import { RawClient } from './raw-client.ts'
import { createWorld, type World } from './world.ts'

describe('hostile connections', () => {
  let world: World

  beforeAll(async () => {
    world = await createWorld()
  })
  afterAll(() => world.close())

  async function restart(limits: Partial<GatewayLimits>): Promise<void> {
    await world.gateway.close()
    await world.startGateway(limits)
  }
  const stats = () => world.gateway.stats()

  it('garbage is cut off, and others are served meanwhile', async () => {
    const device = await world.held()
    const good = await world.session(device)
    const bad: RawClient[] = []
    for (let index = 0; index < 50; index++) {
      const client = await world.connect()
      client.bytes(randomBytes(20_000))
      bad.push(client)
    }
    const tls = await RawClient.open({ port: world.ports.tls, version: 5 })
    tls.bytes(randomBytes(20_000))
    good.publish(device.topic('attributes'), { 'OnOff.OnOff': true })
    await good.next('puback')
    for (const client of [...bad, tls]) await client.closed
    good.socket.destroy()
  })

  it.each([
    ['a packet that is no CONNECT', Buffer.from([0xc0, 0])],
    ['a CONNECT larger than one may be', Buffer.from([0x10, 0xff, 0xff, 0x7f])],
    ['a length that never ends', Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0xff])],
    ['a CONNECT cut short inside', Buffer.from([0x10, 8, 0, 4, 0x4d, 0x51, 0x54, 0x54, 5, 2])],
    ['a CONNECT of nothing', Buffer.from([0x10, 0])],
  ])('%s before authentication ends the connection', async (_what, bytes) => {
    const client = await world.connect()
    client.bytes(bytes)
    await client.closed
  })

  it('only a few bytes are kept of whoever is not authenticated', async () => {
    const device = await world.device()
    const client = await world.connect()
    client.connectAs(device)
    client.bytes(Buffer.alloc(60_000, 0xc0))
    await client.closed
    expect(world.gateway.isOnline(device.deviceId)).toBe(false)
  })

  it('who does not finish CONNECT in time is cut off, however it trickles', async () => {
    await restart({ connectDeadlineMs: 10_000 })
    const silent = await world.connect()
    const slow = await world.connect()
    slow.bytes(Buffer.from([0x10, 60, 0, 4]))
    const handshake = await RawClient.open({ port: world.ports.tls, version: 5 })
    handshake.bytes(Buffer.from([0x16, 0x03, 0x01]))
    await vi.waitFor(() => expect(stats().gateway_unauthenticated_connections).toBe(3))
    world.time.offsetMs += 10_001
    slow.bytes(Buffer.from([0x4d]))
    await Promise.all([silent.closed, slow.closed, handshake.closed])
    expect(stats().gateway_unauthenticated_connections).toBe(0)
  })

  it('a packet that comes byte by byte is read, and costs no more than its bytes', async () => {
    const device = await world.held()
    const client = await world.session(device)
    client.socket.setNoDelay(true)
    client.publish(device.topic('attributes'), { 'OnOff.OnOff': true })
    await client.next('puback')
    const bytes = Buffer.from(`{"OnOff.OnOff":true,"$id":"${'x'.repeat(60)}"}`)
    const topic = Buffer.from(device.topic('attributes'))
    const remaining = 2 + topic.length + 2 + 1 + bytes.length
    const packet = Buffer.concat([
      Buffer.from([0x32, (remaining & 0x7f) | 0x80, remaining >> 7, 0, topic.length]),
      topic,
      Buffer.from([0, 9, 0]),
      bytes,
    ])
    for (const byte of packet) {
      client.bytes(Buffer.from([byte]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect((await client.next('puback')).messageId).toBe(9)
    // Half a packet, and gone.
    client.bytes(packet.subarray(0, 40))
    client.socket.destroy()
    await vi.waitFor(() => expect(world.gateway.isOnline(device.deviceId)).toBe(false))
  })

  it('strangers are bounded in number, in total and by address, and make room when they go', async () => {
    await restart({
      unauthenticated: 30,
      unauthenticatedPerAddress: 10,
      limitLoopback: true,
      connectionBurstPerAddress: 1_000,
    })
    const device = await world.device()
    const flood = await Promise.all(Array.from({ length: 40 }, () => world.connect()))
    await vi.waitFor(() => expect(flood.filter((client) => client.ended)).toHaveLength(30))
    expect(stats().gateway_unauthenticated_connections).toBe(10)
    for (const client of flood) client.socket.destroy()
    await vi.waitFor(() => expect(stats().gateway_unauthenticated_connections).toBe(0))
    const client = await world.session(device)
    expect(stats().gateway_unauthenticated_connections).toBe(0)
    client.socket.destroy()
    await restart({ unauthenticated: 5 })
    const second = await Promise.all(Array.from({ length: 12 }, () => world.connect()))
    await vi.waitFor(() => expect(second.filter((one) => one.ended)).toHaveLength(7))
    for (const one of second) one.socket.destroy()
  })

  it('the rate of connections is bounded, in total and by address', async () => {
    for (const limits of [
      { connectionBurst: 5, connectionsPerSecond: 1 },
      { connectionBurstPerAddress: 5, connectionsPerSecondPerAddress: 1, limitLoopback: true },
    ]) {
      await restart(limits)
      const flood = await Promise.all(Array.from({ length: 20 }, () => world.connect()))
      await vi.waitFor(() => expect(flood.filter((client) => client.ended).length).toBeGreaterThanOrEqual(14))
      expect(stats().gateway_refused_connections_total).toBeGreaterThanOrEqual(14)
      for (const client of flood) client.socket.destroy()
      world.time.offsetMs += 5_000
      const later = await world.connect()
      later.connectAs(await world.device())
      await later.next('connack')
      later.socket.destroy()
    }
  })

  it('500 devices that drop at once, in the middle of publishing, harm nobody', {
    timeout: 120_000,
  }, async () => {
    await restart({})
    const devices = await world.provision(500)
    const witness = await world.held()
    const good = await world.session(witness)
    const clients: RawClient[] = []
    for (let at = 0; at < devices.length; at += 50)
      clients.push(...(await Promise.all(devices.slice(at, at + 50).map((device) => world.session(device)))))
    expect(stats().gateway_sessions).toBe(501)
    clients.forEach((client, index) => {
      const topic = devices[index]?.topic('attributes') as string
      for (let id = 1; id <= 5; id++) client.publish(topic, { 'OnOff.OnOff': true }, { messageId: id })
    })
    for (const client of clients) client.socket.resetAndDestroy()
    good.publish(witness.topic('attributes'), { 'OnOff.OnOff': true })
    await good.next('puback')
    await vi.waitFor(() => expect(stats().gateway_sessions).toBe(1), { timeout: 10_000 })
    expect(stats().gateway_connections).toBe(1)
    good.socket.destroy()
  })

  it('a connection that is reset before it says anything leaves nothing behind', async () => {
    await vi.waitFor(() => expect(stats().gateway_connections).toBe(0))
    for (let index = 0; index < 30; index++) {
      const socket = connect({ host: '127.0.0.1', port: index % 2 ? world.ports.tls : world.ports.plain })
      socket.on('error', () => {})
      socket.once('connect', () => socket.resetAndDestroy())
    }
    const client = await world.session(await world.device())
    await vi.waitFor(() => expect(stats().gateway_connections).toBe(1))
    await vi.waitFor(() => expect(stats().gateway_unauthenticated_connections).toBe(0))
    client.socket.destroy()
  })
})
