import type { MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createTestDatabase } from '../support/database.ts'
import { claim, connect, type FactoryDevice, provision, settle } from '../support/household.ts'
import { createInstallation, type Installation } from '../support/installation.ts'

/** One API and two gateways, each a process of its own, on one database that was empty. */
describe('an installation of several processes', () => {
  let database: Awaited<ReturnType<typeof createTestDatabase>>
  let api: Installation
  const gateways: Installation[] = []
  const clients: MqttClient[] = []
  let lock: FactoryDevice

  beforeAll(async () => {
    database = await createTestDatabase()
    const shared = { HEARTHLOCK_DATABASE_URL: database.url }
    api = await createInstallation({ ...shared, HEARTHLOCK_ROLE: 'api' })
    for (let count = 0; count < 2; count += 1)
      gateways.push(
        await createInstallation({
          ...shared,
          HEARTHLOCK_ROLE: 'gateway',
          HEARTHLOCK_ROOT_KEY_FILE: api.rootKeyFile,
        }),
      )
    // All at once: they make one root key, one schema, one device authority.
    await Promise.all([api, ...gateways].map((at) => at.start()))
  }, 120_000)
  afterAll(async () => {
    for (const client of clients) client.end(true)
    for (const at of [...gateways, api]) await at.dispose()
    await database.drop()
  })

  /** The device, at one of the gateways; obeys. */
  async function join(at: Installation): Promise<MqttClient> {
    const client = await connect(at, lock)
    clients.push(client)
    const topic = (name: string) => `hearth/1/${lock.deviceId}/${name}`
    client.on('message', (_topic, message) => {
      const { id } = JSON.parse(message.toString())
      client.publish(topic('results'), JSON.stringify({ id, status: 'SUCCESS' }), { qos: 1 })
    })
    await client.subscribeAsync(topic('commands'), { qos: 1 })
    return client
  }

  it('each says what it is, and opens the doors of its role only', async () => {
    expect(api.output()).toContain('Role       api')
    expect(api.output()).not.toContain('mqtts://')
    expect(gateways[0]?.output()).toContain('Role       gateway')
    expect(gateways[0]?.output()).not.toContain('HTTP API')
    for (const at of [api, ...gateways]) {
      const ops = `http://127.0.0.1:${at.env.HEARTHLOCK_OPS_PORT}`
      expect((await fetch(`${ops}/readyz`)).status).toBe(200)
      expect(await (await fetch(`${ops}/metrics`)).text()).toContain('hearthlock_lease_holds 1')
    }
  })

  it('a device at a gateway is claimed and commanded through the API', async () => {
    await settle(api, 'Home')
    ;[lock] = (await provision(api, 'hearth-lock', 1)) as [FactoryDevice]
    await join(gateways[0] as Installation)
    await claim(api, lock, 'Front door')
    const { code, stdout } = await api.cli(['lock', 'Front door'])
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('SUCCESS') })
  })

  it('when its gateway is killed it goes on at the other one', async () => {
    await gateways[0]?.kill()
    await join(gateways[1] as Installation)
    await vi.waitFor(async () => expect(await api.cli(['lock', 'Front door'])).toMatchObject({ code: 0 }), {
      timeout: 10_000,
    })
  })

  it('separate roles refuse to start without a database that they share', async () => {
    const { code, stderr } = await api.cli(['start', '--role', 'gateway'], {
      env: { HEARTHLOCK_DATABASE_URL: '', HEARTHLOCK_ROLE: '' },
    })
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('HEARTHLOCK_DATABASE_URL'),
    })
  })
})
