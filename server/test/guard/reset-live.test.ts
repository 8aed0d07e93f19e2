import type { MqttClient } from 'mqtt'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Client } from '../../src/client/index.ts'
import type { LiveUpdate } from '../../src/client/live.ts'
import { type AccountId, AppError, type HouseholdId, type TenureId } from '../../src/core/index.ts'
import type { ResetRequest } from '../../src/guard/index.ts'
import {
  connectDevice,
  newCustomer,
  provisionDevice,
  type Rooms,
  startRooms,
} from '../support/start-rooms.ts'
import { createTcpProxy } from '../support/tcp-proxy.ts'

const OFFICER = crypto.randomUUID() as AccountId

interface Home {
  client: Client
  householdId: HouseholdId
}

async function settle(at: Rooms): Promise<Home> {
  const client = await newCustomer(at)
  const { householdId } = await client.request<{ householdId: HouseholdId }>('POST', '/v1/households', {
    body: { name: 'Home' },
  })
  return { client, householdId }
}

/** A bulb of this home, connected to `at`. */
async function held(at: Rooms, { client, householdId }: Home) {
  const device = await provisionDevice(at, 'hearth-bulb')
  const mqtt = await connectDevice(at, device)
  await client.request('POST', `/v1/households/${householdId}/claims`, {
    body: { code: device.claimCode.reveal() },
  })
  const say = (level: number) => report(mqtt, device.deviceId, level)
  return { device, mqtt, say }
}

async function report(mqtt: MqttClient, deviceId: string, level: number): Promise<void> {
  const payload = JSON.stringify({ 'LevelControl.CurrentLevel': level })
  await mqtt.publishAsync(`hearth/1/${deviceId}/attributes`, payload, { qos: 1 })
}

function watch({ client, householdId }: Home) {
  const stop = new AbortController()
  const levels: unknown[] = []
  let ready = 0
  const onUpdate = ({ kind, payload }: LiveUpdate) => {
    if (kind === 'attributes') levels.push(...Object.values(payload ?? {}))
  }
  const ended = client.live(householdId, onUpdate, stop.signal, {
    onReady: () => {
      ready += 1
    },
  })
  const outcome = ended.then(
    () => 'stopped',
    (error) => error.code as string,
  )
  return { levels, outcome, stop: () => stop.abort(), ready: () => ready }
}

describe('an open live stream, at a reset', () => {
  let rooms: Rooms
  const started: { stop: () => void }[] = []
  const start = async (resetEndsPerSecond: number) => {
    rooms = await startRooms({ limits: { resetEndsPerSecond }, bus: { beatMs: 20 } })
  }
  afterEach(async () => {
    for (const { stop } of started.splice(0)) stop()
    await rooms.close()
  })
  const watching = async (home: Home) => {
    const watcher = watch(home)
    started.push(watcher)
    await vi.waitFor(() => expect(watcher.ready()).toBe(1))
    return watcher
  }
  const reset = (request: ResetRequest) => rooms.reset.begin(request, OFFICER)

  it('tells nothing from the commit on, though it waits for its wave', async () => {
    // So slow that it stays open.
    await start(0.001)
    const home = await settle(rooms)
    const { say } = await held(rooms, home)
    const watcher = await watching(home)
    await say(1)
    await vi.waitFor(() => expect(watcher.levels).toEqual([1]))
    await reset({ scope: 'customers', quietly: true })
    expect(rooms.api.stats()).toMatchObject({ api_live_streams: 1, api_void_streams: 1 })
    await say(2)
    const other = await watching(home)
    await say(3)
    await vi.waitFor(() => expect(other.levels).toContain(3))
    expect(watcher.levels).toEqual([1])
  })

  it('is ended in its wave, and an honest app comes back by itself and misses nothing', async () => {
    await start(500)
    const home = await settle(rooms)
    const { say } = await held(rooms, home)
    const watcher = await watching(home)
    await reset({ scope: 'customers', quietly: true })
    await vi.waitFor(() => expect(watcher.ready()).toBe(2), { timeout: 15_000 })
    await say(7)
    await vi.waitFor(() => expect(watcher.levels).toEqual([7]))
    expect(rooms.api.stats()).toMatchObject({ api_void_streams: 0, api_streams_ended_by_reset_total: 1 })
  })

  it('is ended for good where people sign in anew', async () => {
    await start(500)
    const watcher = await watching(await settle(rooms))
    await reset({ scope: 'customers', quietly: false })
    expect(await watcher.outcome).toBe('unauthenticated')
  })

  it('of somebody whom it does not reach goes on', async () => {
    await start(500)
    const [mine, other] = [await settle(rooms), await settle(rooms)]
    const { say } = await held(rooms, other)
    const [first, second] = [await watching(mine), await watching(other)]
    await reset({ scope: 'household', householdId: mine.householdId, quietly: false })
    expect(await first.outcome).toBe('unauthenticated')
    await say(5)
    await vi.waitFor(() => expect(second.levels).toEqual([5]))
    expect(rooms.api.stats()).toMatchObject({ api_live_streams: 1 })
  })
})

describe('an answer that is being made when a reset comes', () => {
  it('does not leave', async () => {
    const waiting = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    const rooms = await startRooms({
      bus: { beatMs: 20 },
      replace: ({ home }) => ({
        home: {
          ...home,
          async devices(...request) {
            const answer = await home.devices(...request)
            asked.resolve()
            await waiting.promise
            return answer
          },
        },
      }),
    })
    try {
      const home = await settle(rooms)
      const answer = home.client.request('GET', `/v1/households/${home.householdId}/devices`).then(
        () => 'answered',
        (error) => error.code,
      )
      await asked.promise
      await rooms.reset.begin({ scope: 'customers', quietly: false }, OFFICER)
      waiting.resolve()
      expect(await answer).toBe('unauthenticated')
    } finally {
      await rooms.close()
    }
  })
})

describe('two processes, at a reset', () => {
  const LEASE_MS = 1_000
  let a: Rooms
  let b: Rooms
  let proxy: Awaited<ReturnType<typeof createTcpProxy>>
  const stores = new Map<string, () => AsyncGenerator<TenureId[]>>()
  const touched = (store: string) => {
    const found = stores.get(store)
    if (!found) throw new AppError('not_found')
    return found()
  }
  beforeEach(async () => {
    stores.clear()
    a = await startRooms({ touched, bus: { beatMs: 20 } })
    proxy = await createTcpProxy(a.database.url)
    b = await startRooms({
      beside: a,
      touched,
      databaseUrl: proxy.url,
      bus: { beatMs: 20, leaseMs: LEASE_MS },
      resetLookMs: 100,
    })
  })
  afterEach(async () => {
    proxy.heal()
    await b.close()
    await proxy.close()
    await a.close()
  })

  it('both refuse what is of before, and close what is open', async () => {
    const home = await settle(a)
    const other = await settle(b)
    const { mqtt, device } = await held(b, other)
    const closed = new Promise<void>((done) => mqtt.once('close', () => done()))
    const counted = await a.reset.plan({ scope: 'all', quietly: false })
    expect(counted).toMatchObject({ deviceConnections: 1 })
    const { resetId } = await a.reset.begin({ scope: 'all', quietly: false }, OFFICER)
    for (const { client } of [home, other])
      await expect(client.request('GET', '/v1/me')).rejects.toMatchObject({ code: 'unauthenticated' })
    await closed
    expect(b.gateway.isOnline(device.deviceId)).toBe(false)
    await vi.waitFor(async () => expect((await a.reset.get(resetId)).state).toBe('done'), { timeout: 20_000 })
    expect(await b.reset.get(resetId)).toMatchObject({ closedConnections: 1, removedSignIns: 2 })
  })

  it('one that is cut off acts on nothing of before for longer than its lease', async () => {
    const home = await settle(b)
    const { mqtt } = await held(b, home)
    proxy.cut()
    const reset = await a.reset.begin({ scope: 'all', quietly: true }, OFFICER)
    expect(reset.state).toBe('void')
    await vi.waitFor(() => expect(b.bus.lease.holds()).toBe(false), { timeout: LEASE_MS + 4_000 })
    await vi.waitFor(() => expect(mqtt.connected).toBe(false))
    expect((await fetch(`${b.url}/v1/me`)).status).toBe(503)
    proxy.heal()
    await vi.waitFor(() => expect(b.bus.lease.holds()).toBe(true), { timeout: 20_000 })
    await expect(home.client.request('GET', '/v1/me')).resolves.toBeTruthy()
  })

  it('another one goes on with a reset that was being prepared when its process died', async () => {
    const home = await settle(a)
    const { device } = await held(a, home)
    const { rows } = await a.database.pool.query(
      'select tenure_id from registry.tenure where device_id = $1',
      [device.deviceId],
    )
    const died = Promise.withResolvers<never>()
    died.promise.catch(() => {})
    let times = 0
    stores.set('copy', async function* () {
      times += 1
      yield [rows[0].tenure_id as TenureId]
      // The first look is for the name, the second one is the work of the process that dies.
      if (times === 2) await died.promise
    })
    const { resetId } = await a.reset.begin({ scope: 'all', store: 'copy', quietly: false }, OFFICER)
    await vi.waitFor(() => expect(times).toBe(2))
    expect((await a.reset.get(resetId)).state).toBe('preparing')
    await expect(home.client.request('GET', '/v1/me')).resolves.toBeTruthy()
    await a.database.pool.query("update guard.reset set worker_until = now() - interval '1 second'")
    await vi.waitFor(async () => expect((await a.reset.get(resetId)).state).toBe('done'), { timeout: 20_000 })
    await expect(home.client.request('GET', '/v1/me')).rejects.toMatchObject({ code: 'unauthenticated' })
    died.reject(new Error('gone'))
    const { rows: resets } = await a.database.pool.query('select epoch from identity.reset')
    expect(resets).toHaveLength(1)
  })
})
