import { generate, type IConnectPacket } from 'mqtt-packet'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newId } from '../../src/core/index.ts'
import { createWorld, type TestDevice, tokenOf, type World } from './world.ts'

describe('CONNECT', () => {
  let world: World
  let device: TestDevice

  beforeAll(async () => {
    world = await createWorld()
    device = await world.device()
  })
  afterAll(() => world.close())

  async function answer(overrides: Partial<IConnectPacket>, version: 4 | 5 = 5, as: TestDevice = device) {
    const client = await world.connect({ version })
    client.connectAs(as, overrides)
    const connack = await client.next('connack')
    return { client, connack, code: connack.reasonCode ?? connack.returnCode }
  }

  it.each([4, 5] as const)('a device with its password is let in (level %i)', async (version) => {
    const { client, connack, code } = await answer({}, version)
    expect(code).toBe(0)
    expect(connack.sessionPresent).toBe(false)
    client.send({ cmd: 'pingreq' })
    await client.next('pingresp')
    client.send({ cmd: 'disconnect' })
    await client.closed
  })

  it('announces to MQTT 5 what it does not do', async () => {
    const { connack, client } = await answer({ clientId: '', keepalive: 65_535 })
    expect(connack.properties).toMatchObject({
      sessionExpiryInterval: 0,
      receiveMaximum: 32,
      maximumQoS: 1,
      retainAvailable: false,
      maximumPacketSize: 65_536,
      topicAliasMaximum: 0,
      wildcardSubscriptionAvailable: true,
      subscriptionIdentifiersAvailable: false,
      sharedSubscriptionAvailable: false,
      assignedClientIdentifier: device.deviceId,
      serverKeepAlive: 1_200,
    })
    client.socket.destroy()
  })

  it('an empty client identifier is taken in 3.1.1 with a clean session, and refused without', async () => {
    expect((await answer({ clientId: '' }, 4)).code).toBe(0)
    const client = await world.connect({ version: 4 })
    const { deviceId: username, password } = device
    const bytes = generate({
      cmd: 'connect',
      clientId: '',
      clean: true,
      username,
      password: Buffer.from(password),
    })
    bytes.writeUInt8(bytes.readUInt8(9) & ~2, 9) // without Clean Session, which no honest client writes
    client.bytes(bytes)
    expect((await client.next('connack')).returnCode).toBe(2)
  })

  const will = { topic: 'hearth/1/x/events', payload: Buffer.from('{}'), qos: 0 as const, retain: false }
  it.each<[string, Partial<IConnectPacket>, number, number]>([
    ['a Will', { will }, 0x83, 5],
    ['a foreign client identifier', { clientId: newId() }, 0x85, 2],
    ['a wrong password', { password: Buffer.from('wrong') }, 0x86, 4],
    ['no password', { username: 'x', password: Buffer.alloc(0) }, 0x86, 4],
    ['an unknown device', { username: newId(), clientId: newId() }, 0x86, 4],
  ])('refuses %s with a proper code', async (_what, overrides, code5, code4) => {
    const stranger = await world.device()
    for (const [version, code] of [
      [5, code5],
      [4, code4],
    ] as const) {
      const refused = await answer(overrides, version, stranger)
      expect(refused.code).toBe(code)
      if (version === 5) expect(refused.connack.properties?.reasonString).toMatch(/\w/)
      await refused.client.closed
      expect(world.gateway.isOnline(stranger.deviceId)).toBe(false)
    }
  })

  it.each<[string, Partial<IConnectPacket>, number]>([
    ['enhanced authentication', { properties: { authenticationMethod: 'x' } }, 0x8c],
    ['a receive maximum of 0', { properties: { receiveMaximum: 0 } }, 0x82],
    ['a maximum packet size of 0', { properties: { maximumPacketSize: 0 } }, 0x82],
  ])('refuses %s', async (_what, overrides, code) => {
    expect((await answer(overrides)).code).toBe(code)
  })

  it('refuses other protocol versions by name', async () => {
    const client = await world.connect({ version: 4 })
    client.connectAs(device, { protocolId: 'MQIsdp', protocolVersion: 3 })
    expect((await client.next('connack')).returnCode).toBe(1)
    const six = await world.connect()
    six.bytes(Buffer.from([0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 6, 2, 0, 60, 0, 1, 0x61]))
    await six.closed
  })

  it('lets a device in by a token that its own key signed, and no other device by it', async () => {
    const other = await world.device()
    expect((await answer({ password: Buffer.from(tokenOf(device)) })).code).toBe(0)
    // The token of another device, with our user name and with its own.
    expect((await answer({ password: Buffer.from(tokenOf(other)) })).code).toBe(0x86)
    expect((await answer({ password: Buffer.from(tokenOf(other, device.deviceId)) })).code).toBe(0x86)
    const foreign = await answer({ username: other.deviceId, password: Buffer.from(tokenOf(other)) })
    expect(foreign.code).toBe(0x85)
  })

  it('a second CONNECT ends the session', async () => {
    const client = await world.session(device)
    client.connectAs(device)
    expect((await client.next('disconnect')).reasonCode).toBe(0x82)
    await client.closed
  })

  it('the same device takes its session over; the old connection is told so', async () => {
    const first = await world.session(device)
    const second = await world.session(device)
    expect((await first.next('disconnect')).reasonCode).toBe(0x8e)
    await first.closed
    expect(world.gateway.isOnline(device.deviceId)).toBe(true)
    second.send({ cmd: 'pingreq' })
    await second.next('pingresp')
    second.socket.destroy()
  })

  it('another device cannot take a session over by its client identifier', async () => {
    const thief = await world.device()
    const client = await world.session(device)
    expect((await answer({ clientId: device.deviceId }, 5, thief)).code).toBe(0x85)
    client.send({ cmd: 'pingreq' })
    await client.next('pingresp')
    client.socket.destroy()
  })
})

describe('failures for one device id', () => {
  let world: World
  beforeAll(async () => {
    world = await createWorld({ limits: { limitLoopback: true } })
  })
  afterAll(() => world.close())

  async function attempt(victim: TestDevice, password: string, localAddress?: string) {
    const client = await world.connect({ localAddress })
    client.connectAs(victim, { password: Buffer.from(password) })
    const { reasonCode } = await client.next('connack')
    client.socket.destroy()
    return reasonCode
  }

  it('are refused unseen when one address has too many, until time has passed', async () => {
    const victim = await world.device()
    const codes: (number | undefined)[] = []
    for (let index = 0; index < 12; index++) codes.push(await attempt(victim, 'wrong'))
    expect(codes.slice(0, 10)).toEqual(Array(10).fill(0x86))
    expect(codes.slice(10)).toEqual([0x9f, 0x9f])
    expect(await attempt(victim, victim.password)).toBe(0x9f)
    world.time.offsetMs += 60_000
    expect(await attempt(victim, victim.password)).toBe(0)
  })

  it('of a stranger do not lock the device out where it is', async () => {
    const victim = await world.device()
    for (let index = 0; index < 12; index++) await attempt(victim, 'wrong', '127.0.0.66')
    expect(await attempt(victim, victim.password, '127.0.0.66')).toBe(0x9f)
    expect(await attempt(victim, victim.password)).toBe(0)
  })
})

describe('the number of failures from one address', () => {
  it('is limited whatever device is named', async () => {
    const world = await createWorld({ limits: { limitLoopback: true, failureBurstPerAddress: 3 } })
    const codes: (number | undefined)[] = []
    for (let index = 0; index < 4; index++) {
      const client = await world.connect()
      client.connectAs({ deviceId: newId(), password: 'wrong' })
      codes.push((await client.next('connack')).reasonCode)
    }
    expect(codes).toEqual([0x86, 0x86, 0x86, 0x9f])
    await world.close()
  })
})
