import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AppError, Secret, silentLog } from '../../src/core/index.ts'
import { createGateway } from '../../src/gateway/index.ts'
import { RawClient } from './raw-client.ts'
import { createWorld, type TestDevice, tokenOf, type World } from './world.ts'

describe('TLS', () => {
  let world: World
  let other: World
  let device: TestDevice

  beforeAll(async () => {
    world = await createWorld()
    other = await createWorld()
    device = await world.device()
  })
  afterAll(async () => {
    await world.close()
    await other.close()
  })

  type Tls = Partial<NonNullable<Parameters<typeof RawClient.open>[0]['tls']>>
  const open = (tls: Tls = {}) =>
    RawClient.open({
      port: world.ports.tls,
      version: 5,
      tls: { ca: world.registry.authorityCertificate(), ...tls },
    })
  const certificateOf = (of: TestDevice) => ({ cert: of.certificatePem, key: of.privateKeyPem })
  const noPassword = { username: undefined as never, password: undefined as never }

  async function code(client: RawClient, as = device, overrides: object = noPassword) {
    client.connectAs(as, overrides)
    const { reasonCode } = await client.next('connack')
    return reasonCode
  }

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'a client certificate is the identity (%s)',
    async (maxVersion) => {
      const client = await open({ ...certificateOf(device), maxVersion })
      expect(client.tls.getProtocol()).toBe(maxVersion)
      expect(await code(client)).toBe(0)
      expect(world.gateway.isOnline(device.deviceId)).toBe(true)
      client.socket.destroy()
    },
  )

  it('password and token work without a certificate; neither does without', async () => {
    expect(await code(await open(), device, {})).toBe(0)
    expect(await code(await open(), device, { password: Buffer.from(tokenOf(device)) })).toBe(0)
    expect(await code(await open())).toBe(0x86)
  })

  it('the certificate of another authority is refused, also with the right password beside it', async () => {
    const foreign = await other.device()
    expect(await code(await open(certificateOf(foreign)), foreign)).toBe(0x86)
    expect(await code(await open(certificateOf(foreign)), device, {})).toBe(0x86)
  })

  it('a certificate lets no other device in', async () => {
    const second = await world.device()
    expect(await code(await open(certificateOf(second)), device)).toBe(0x85)
    expect(await code(await open(certificateOf(second)), device, {})).toBe(0x86)
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'a resumed session is checked like a first one (%s)',
    async (maxVersion) => {
      const first = await open({ ...certificateOf(device), maxVersion })
      const ticket = once(first.tls, 'session')
      expect(await code(first)).toBe(0)
      const session = (maxVersion === 'TLSv1.2' ? first.tls.getSession() : (await ticket)[0]) as Buffer
      first.socket.destroy()
      const resumed = await open({ session, maxVersion })
      expect(resumed.tls.isSessionReused()).toBe(true)
      expect(await code(resumed)).toBe(0)
      const thief = await world.device()
      const stolen = await open({ session, maxVersion })
      expect(await code(stolen, thief)).toBe(0x85)
    },
  )

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'resumption makes no identity out of none, nor a good one out of a bad one (%s)',
    async (maxVersion) => {
      for (const credentials of [{}, certificateOf(await other.device())]) {
        const first = await open({ ...credentials, maxVersion })
        const ticket = once(first.tls, 'session')
        expect(await code(first)).toBe(0x86)
        const session = (maxVersion === 'TLSv1.2' ? first.tls.getSession() : (await ticket)[0]) as Buffer
        first.socket.destroy()
        expect(await code(await open({ session, maxVersion }))).toBe(0x86)
      }
    },
  )

  it('older protocol versions are refused', async () => {
    const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }
    await expect(open(old as unknown as Tls)).rejects.toThrow(/alert protocol version/)
  })

  it('without TLS it listens on loopback only, and a taken port is named', async () => {
    const options = {
      registry: world.registry,
      stream: world.stream,
      database: world.database,
      clock: { nowMs: Date.now },
      log: silentLog,
      resendSecret: new Secret('x'),
      onDeviceReady: () => {},
      onCommandDelivered: () => {},
    }
    for (const host of ['0.0.0.0', '::', '192.0.2.1', 'localhost'])
      expect(() => createGateway({ ...options, plain: { host, port: 0 } })).toThrow(AppError)
    const second = createGateway({ ...options, plain: { host: '127.0.0.1', port: world.ports.plain } })
    await expect(second.start()).rejects.toMatchObject({ code: 'start_refused' })
    await second.close()
  })
})
