import { randomUUID } from 'node:crypto'
import type { MqttClient } from 'mqtt'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Client, createClient, memorySessionStore } from '../../src/client/index.ts'
import { type AccountId, type HouseholdId, Personal, Secret } from '../../src/core/index.ts'
import type { LiveUpdate } from '../../src/home/index.ts'
import type { ProvisionedDevice } from '../../src/registry/index.ts'
import { connectDevice, join, provisionDevice, type Rooms, startRooms } from '../support/start-rooms.ts'
import { createTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'

const BEAT = { beatMs: 20 }
const LEASE_MS = 1_000
/** What may pass between the end of the lease and its being noticed, on a busy machine. */
const MARGIN_MS = 2_000

let a: Rooms
let b: Rooms
let proxy: TcpProxy
/** `b` as seen from `a` can be cut off. */
const devices: MqttClient[] = []
let people = 0

beforeAll(async () => {
  a = await startRooms({ bus: BEAT })
  proxy = await createTcpProxy(a.database.url)
  b = await startRooms({
    beside: a,
    databaseUrl: proxy.url,
    bus: { ...BEAT, leaseMs: LEASE_MS },
  })
})
afterEach(async () => {
  for (const device of devices.splice(0)) await device.endAsync(true)
})
afterAll(async () => {
  proxy.heal()
  await b.close()
  await proxy.close()
  await a.close()
})

interface Home {
  email: Personal
  client: Client
  householdId: HouseholdId
  accountId: AccountId
}

async function signIn(at: Rooms, email: Personal): Promise<Client> {
  const client = createClient({ baseUrl: at.url, store: memorySessionStore() })
  await client.signIn({ clientId: 'hearthlock-cli', email, password: PASSWORD })
  return client
}
const PASSWORD = new Secret('correct horse battery staple')

async function settle(at: Rooms): Promise<Home> {
  people += 1
  const email = new Personal(`node-${people}@example.org`)
  const client = createClient({ baseUrl: at.url, store: memorySessionStore() })
  await join({ client, mail: at.mail, email, password: PASSWORD })
  await client.signIn({ clientId: 'hearthlock-cli', email, password: PASSWORD })
  const { householdId } = await client.request<{ householdId: HouseholdId }>('POST', '/v1/households', {
    body: { name: 'Home' },
  })
  const { rows } = await at.database.pool.query(
    'select account_id from registry.member where household_id = $1',
    [householdId],
  )
  return { email, client, householdId, accountId: rows[0].account_id }
}

async function connect(at: Rooms, device: ProvisionedDevice): Promise<MqttClient> {
  const client = await connectDevice(at, device)
  devices.push(client)
  return client
}

/** A device connected to `at`, claimed through `through`. */
async function held(home: Home, at: Rooms, model = 'hearth-bulb') {
  const device = await provisionDevice(a, model)
  const mqtt = await connect(at, device)
  await home.client.request('POST', `/v1/households/${home.householdId}/claims`, {
    body: { code: device.claimCode.reveal() },
  })
  await vi.waitFor(async () => expect(await availability(device)).toEqual([4]))
  return { device, mqtt, topic: (name: string) => `hearth/1/${device.deviceId}/${name}` }
}

/** The kinds of the records of availability: one for each coming and going. */
async function availability({ deviceId }: ProvisionedDevice): Promise<number[]> {
  const { rows } = await a.database.pool.query(
    'select kind from stream.record where device_id = $1 and kind = 4 order by seq',
    [deviceId],
  )
  return rows.map((row) => row.kind)
}

async function watch(at: Rooms, { accountId, householdId }: Home): Promise<LiveUpdate[]> {
  const updates: LiveUpdate[] = []
  await at.home.watch(accountId, householdId, (update) => void updates.push(update))
  return updates
}

function obey(mqtt: MqttClient, topic: (name: string) => string): string[] {
  const commands: string[] = []
  mqtt.on('message', (_topic, message) => {
    const { id, command } = JSON.parse(message.toString())
    commands.push(command)
    mqtt.publish(topic('results'), JSON.stringify({ id, status: 'SUCCESS' }), { qos: 1 })
  })
  return commands
}

async function endTenure({ deviceId }: ProvisionedDevice): Promise<void> {
  await a.database.pool.query(
    'update registry.tenure set ended_hour = started_hour where device_id = $1 and ended_hour is null',
    [deviceId],
  )
}

/** The reason with which the server ends the connection. */
function disconnected(mqtt: MqttClient): Promise<number | undefined> {
  return new Promise((resolve) => mqtt.once('disconnect', ({ reasonCode }) => resolve(reasonCode)))
}

describe('two nodes', () => {
  it('a device is claimed through another node than the one that it is connected to, and not while it is away', async () => {
    const home = await settle(a)
    const away = await provisionDevice(a, 'hearth-bulb')
    const claim = home.client.request('POST', `/v1/households/${home.householdId}/claims`, {
      body: { code: away.claimCode.reveal() },
    })
    await expect(claim).rejects.toMatchObject({ code: 'claim_refused' })
    const { device } = await held(home, b)
    expect(b.gateway.isOnline(device.deviceId)).toBe(true)
    expect(a.gateway.isOnline(device.deviceId)).toBe(false)
  })

  it('a command asked for at one node is carried out by a device at the other, and both nodes show it', async () => {
    const home = await settle(a)
    const { device, mqtt, topic } = await held(home, b, 'hearth-lock')
    const commands = obey(mqtt, topic)
    await mqtt.subscribeAsync(topic('commands'), { qos: 1 })
    const seen = [await watch(a, home), await watch(b, home)]
    const answer = await home.client.request<{ state: string }>(
      'POST',
      `/v1/devices/${device.deviceId}/commands`,
      {
        body: { command: 'DoorLock.LockDoor', arguments: {} },
        headers: { prefer: 'wait=10' },
      },
    )
    expect(answer.state).toBe('succeeded')
    expect(commands).toEqual(['DoorLock.LockDoor'])
    const states = (updates: LiveUpdate[]) =>
      updates.flatMap((update) => (update.kind === 'command' ? update.command.state : []))
    for (const updates of seen) await vi.waitFor(() => expect(states(updates)).toContain('succeeded'))
  })

  it('what a device at one node says is seen live at both, in its order', async () => {
    const home = await settle(a)
    const { mqtt, topic } = await held(home, b)
    const seen = [await watch(a, home), await watch(b, home)]
    const levels = Array.from({ length: 40 }, (_, index) => index + 1)
    for (const level of levels)
      await mqtt.publishAsync(topic('attributes'), JSON.stringify({ 'LevelControl.CurrentLevel': level }), {
        qos: 1,
      })
    for (const updates of seen) {
      await vi.waitFor(() => {
        const got = updates.flatMap((update) =>
          update.kind === 'attributes' ? Object.values(update.payload as Record<string, number>) : [],
        )
        expect(got).toEqual(levels)
      })
    }
  })

  it('a forged hint silences no update and repeats none', async () => {
    const home = await settle(a)
    const { device, mqtt, topic } = await held(home, b)
    const level = (value: number) =>
      mqtt.publishAsync(topic('attributes'), JSON.stringify({ 'LevelControl.CurrentLevel': value }), {
        qos: 1,
      })
    await level(1)
    await vi.waitFor(async () => {
      const { rows } = await a.database.pool.query(
        'select from home.timeline join registry.tenure using (tenure_id) where kind = 1 and device_id = $1',
        [device.deviceId],
      )
      expect(rows).toHaveLength(1)
    })
    const seen = [await watch(a, home), await watch(b, home)]
    for (const places of ['9007199254740000 1', '0 1', '-5 1', '1 9007199254740000', 'all of them']) {
      const message = `${randomUUID()} home.applied ${places}`
      await a.database.pool.query("select pg_notify('hearthlock_bus', $1)", [message])
    }
    const levels = Array.from({ length: 20 }, (_, index) => index + 2)
    for (const value of levels) await level(value)
    for (const updates of seen) {
      await vi.waitFor(() => {
        const got = updates.flatMap((update) =>
          update.kind === 'attributes' ? Object.values(update.payload as Record<string, number>) : [],
        )
        expect(got).toEqual(levels)
      })
    }
  })

  it('a device that moves to another node leaves the first one, and was never offline', async () => {
    const home = await settle(a)
    const { device, mqtt } = await held(home, b)
    const ended = disconnected(mqtt)
    const moved = await connect(a, device)
    expect(await ended).toBe(0x8e)
    await vi.waitFor(() => expect(b.gateway.isOnline(device.deviceId)).toBe(false))
    expect(a.gateway.isOnline(device.deviceId)).toBe(true)
    const { rows } = await a.database.pool.query('select node from gateway.session where device_id = $1', [
      device.deviceId,
    ])
    expect(rows).toEqual([{ node: a.bus.node }])
    expect(await availability(device)).toEqual([4])
    await moved.endAsync()
    await vi.waitFor(async () => expect(await availability(device)).toEqual([4, 4]))
  })

  it('of many connections at once to both nodes, one is left', async () => {
    const home = await settle(a)
    const { device } = await held(home, b)
    await Promise.all([a, b, a, b, a, b].map((at) => connect(at, device)))
    await vi.waitFor(() => {
      const on = [a, b].filter((node) => node.gateway.isOnline(device.deviceId))
      expect(on).toHaveLength(1)
    })
    const { rows } = await a.database.pool.query('select node from gateway.session where device_id = $1', [
      device.deviceId,
    ])
    expect(rows).toEqual([{ node: [a, b].find((at) => at.gateway.isOnline(device.deviceId))?.bus.node }])
  })

  it('when a tenure ends at one node, the other ends the session, and its watchers see nothing more', async () => {
    const home = await settle(a)
    const { device, mqtt, topic } = await held(home, b)
    const seen = await watch(b, home)
    const ended = disconnected(mqtt)
    await endTenure(device)
    expect(await ended).toBe(0x98)
    await vi.waitFor(() => expect(seen.at(-1)).toEqual({ kind: 'resync' }))
    const again = await connect(b, device)
    const refused = again.publishAsync(topic('attributes'), '{"OnOff.OnOff":true}', { qos: 1 })
    await expect(refused).rejects.toMatchObject({ code: 0x87 })
    expect(seen.at(-1)).toEqual({ kind: 'resync' })
  })

  it('a member who is removed at one node watches at the other no more', async () => {
    const home = await settle(a)
    const { mqtt, topic } = await held(home, b)
    const seen = await watch(b, home)
    await a.database.pool.query('delete from registry.member where account_id = $1', [home.accountId])
    await vi.waitFor(() => expect(seen).toEqual([{ kind: 'ended' }]))
    await mqtt.publishAsync(topic('attributes'), '{"OnOff.OnOff":true}', { qos: 1 })
    expect(seen).toEqual([{ kind: 'ended' }])
  })
})

describe('a node that is cut off', () => {
  for (const mark of [undefined, 'hearthlock-bus'])
    it(`${mark ? 'from hearing only' : 'from the database'} refuses everything within its lease, and goes on once it hears again`, async () => {
      const home = await settle(a)
      const { device, mqtt, topic } = await held(home, b)
      const there = await signIn(b, home.email)
      const seen = await watch(b, home)
      await mqtt.subscribeAsync(topic('commands'), { qos: 1 })
      const ended = disconnected(mqtt)
      const { tenureId } = await a.registry.device(home.accountId, device.deviceId)
      const command = { deviceId: device.deviceId, tenureId, commandId: device.deviceId as never }
      expect(b.gateway.deliver({ ...command, payload: Buffer.from('{}') })).toBe(true)

      proxy.cut(mark)
      const cutAtMs = performance.now()
      await endTenure(device)
      await vi.waitFor(() => expect(b.bus.lease.holds()).toBe(false), { timeout: 5_000, interval: 5 })
      expect(performance.now() - cutAtMs).toBeLessThan(LEASE_MS + MARGIN_MS)

      // Each path, at once: nothing waits for a timer.
      expect(b.gateway.deliver({ ...command, payload: Buffer.from('{}') })).toBe(false)
      const answer = await fetch(`${b.url}/v1/households/${home.householdId}/devices`)
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '3'])
      const count = async () => (await a.database.pool.query('select from registry.household')).rowCount
      const before = await count()
      const act = there.request('POST', '/v1/households', { body: { name: 'Another' } })
      await expect(act).rejects.toMatchObject({ code: 'unavailable' })
      expect(await count()).toBe(before)
      await expect(b.home.watch(home.accountId, home.householdId, () => {})).rejects.toMatchObject({
        code: 'unavailable',
      })
      expect(await ended).toBe(0x9c)
      await vi.waitFor(() => expect(seen.at(-1)).toEqual({ kind: 'interrupted' }))
      expect((await fetch(`${b.url}/readyz`)).status).toBe(503)
      expect((await fetch(`${b.url}/healthz`)).status).toBe(200)
      expect(seen.filter((update) => update.kind === 'attributes')).toEqual([])

      proxy.heal()
      await vi.waitFor(() => expect(b.bus.lease.holds()).toBe(true), { timeout: 10_000 })
      const path = `/v1/households/${home.householdId}/devices`
      await vi.waitFor(async () => expect(await there.request('GET', path)).toEqual({ devices: [] }))
      const again = await connect(b, device)
      const refused = again.publishAsync(topic('attributes'), '{"OnOff.OnOff":true}', { qos: 1 })
      await expect(refused).rejects.toMatchObject({ code: 0x87 })
    })

  it('hands out no answer that was being made when it was cut off', async () => {
    const home = await settle(a)
    await held(home, a)
    const there = await signIn(b, home.email)
    proxy.cut('hearthlock\0')
    const { accountId, householdId } = home
    const asked = there.request('GET', `/v1/households/${householdId}/devices`)
    const answered = expect(asked).rejects.toMatchObject({ code: 'unavailable' })
    await new Promise((resolve) => setTimeout(resolve, 50))
    proxy.cut()
    await vi.waitFor(() => expect(b.bus.lease.holds()).toBe(false), { timeout: 5_000 })
    proxy.heal()
    await answered
    await vi.waitFor(() => expect(b.bus.lease.holds()).toBe(true), { timeout: 10_000 })
    expect(await b.home.devices(accountId, householdId)).toHaveLength(1)
  })
})
