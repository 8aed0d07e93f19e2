import type { MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Client } from '../../src/client/index.ts'
import { type AccountId, silentLog, systemClock } from '../../src/core/index.ts'
import { createPrivacy, type ExportRecord } from '../../src/privacy/index.ts'
import type { ProvisionedDevice } from '../../src/registry/index.ts'
import {
  connectDevice,
  newCustomer,
  newOperator,
  provisionDevice,
  type Rooms,
  startRooms,
} from '../support/start-rooms.ts'

/** How long ago everybody signed in. */
const signedIn = { agoMs: 0 }

async function read(client: Client): Promise<ExportRecord[]> {
  const chunks: Uint8Array[] = []
  for await (const chunk of await client.download('/v1/me/export')) chunks.push(chunk)
  const lines = Buffer.concat(chunks).toString().trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line) as ExportRecord)
}
const of = (records: ExportRecord[], record: string) => records.filter((each) => each.record === record)

describe('an export', () => {
  let rooms: Rooms
  let ada: Client
  let adaId: AccountId
  let householdId: string
  let lock: ProvisionedDevice
  let socket: MqttClient
  const home = (path = '') => `/v1/households/${householdId}${path}`
  const idOf = async (client: Client) =>
    (await client.request<{ accountId: AccountId }>('GET', '/v1/me')).accountId

  beforeAll(async () => {
    rooms = await startRooms({
      limits: { exportsPerHourPerAccount: 1_000 },
      replace: ({ identity }) => ({
        identity: {
          ...identity,
          authenticate: async (request) => ({
            ...(await identity.authenticate(request)),
            signedInAtMs: Date.now() - signedIn.agoMs,
          }),
        },
      }),
    })
    ada = await newCustomer(rooms)
    adaId = await idOf(ada)
    householdId = (
      await ada.request<{ householdId: string }>('POST', '/v1/households', { body: { name: 'Haus' } })
    ).householdId as string
    lock = await provisionDevice(rooms, 'hearth-lock')
    socket = await connectDevice(rooms, lock)
    await ada.request('POST', home('/claims'), {
      body: { code: lock.claimCode.reveal(), nickname: 'Front door' },
    })
    for (let times = 0; times < 250; times++) {
      const state = times % 2 === 0 ? 'Locked' : 'Unlocked'
      await socket.publishAsync(`hearth/1/${lock.deviceId}/attributes`, `{"DoorLock.LockState":"${state}"}`, {
        qos: 1,
      })
    }
    await vi.waitFor(() => expect(rooms.stream.stats().stream_reader_home_lag).toBe(0))
  })
  afterAll(async () => {
    await socket?.endAsync(true)
    await rooms.close()
  })

  it('is everything, whole, and says so with its last line', async () => {
    const records = await read(ada)
    expect(records[0]).toMatchObject({ record: 'export', format: 1, accountId: adaId })
    expect(of(records, 'profile')).toMatchObject([
      { name: 'Ada', email: expect.stringContaining('@example.org') },
    ])
    expect(of(records, 'session')).toMatchObject([{ client: expect.any(String) }])
    expect(of(records, 'household')).toMatchObject([{ householdId, name: 'Haus', role: 'owner' }])
    expect(of(records, 'device')).toMatchObject([{ deviceId: lock.deviceId, nickname: 'Front door' }])
    expect(of(records, 'timeline').length).toBeGreaterThan(250)
    expect(new Set(of(records, 'timeline').map(({ seq }) => seq)).size).toBe(of(records, 'timeline').length)
    expect(of(records, 'log').length).toBeGreaterThan(1)
    expect(records.at(-1)).toEqual({ record: 'end', records: records.length - 2 })
  })

  it('holds nothing of others: no name of another member, no other household', async () => {
    const bob = await newCustomer(rooms)
    const { code } = await ada.request<{ code: string }>('POST', home('/invitations'), {
      body: { role: 'adult' },
    })
    await bob.request('POST', '/v1/invitations/accept', { body: { code } })
    const own = await bob.request<{ householdId: string }>('POST', '/v1/households', {
      body: { name: 'Bobs' },
    })
    const text = JSON.stringify(await read(ada))
    expect(text).not.toContain(own.householdId)
    expect(text).toContain(await idOf(bob))
    expect(text.match(/@example\.org/g)).toHaveLength(1)
    await bob.request('DELETE', home(`/members/${await idOf(bob)}`))
    expect(JSON.stringify(await read(bob))).not.toContain(lock.deviceId)
  })

  it('of a guest holds what the guest may see', async () => {
    const cleo = await newCustomer(rooms)
    const until = new Date(Date.now() + 3_600_000).toISOString()
    const guest = { until, devices: [{ deviceId: lock.deviceId, acts: ['view'] }] }
    const { code } = await ada.request<{ code: string }>('POST', home('/invitations'), {
      body: { role: 'guest', guest },
    })
    await cleo.request('POST', '/v1/invitations/accept', { body: { code } })
    const records = await read(cleo)
    expect(of(records, 'household')).toMatchObject([{ role: 'guest', guest: { until } }])
    expect(of(records, 'device')).toHaveLength(1)
    expect(of(records, 'log')).toEqual([])
  })

  it('stops at what ends half way, with a line that says so, and goes on with the rest', async () => {
    const privacy = createPrivacy({ ...rooms, clock: systemClock, log: silentLog })
    const records: ExportRecord[] = []
    for await (const record of privacy.export(adaId)) {
      records.push(record)
      if (of(records, 'timeline').length === 150) {
        await rooms.database.pool.query(
          'update registry.tenure set ended_hour = started_hour where device_id = $1',
          [lock.deviceId],
        )
      }
    }
    const stopped = records.findIndex(({ record }) => record === 'stopped')
    expect(of(records.slice(0, stopped), 'timeline')).toHaveLength(200)
    // What its household keeps of it is there under its own name.
    expect(of(records, 'past_device')).toMatchObject([{ deviceId: lock.deviceId }])
    expect(of(records, 'stopped')).toMatchObject([
      { of: 'timeline', deviceId: lock.deviceId, why: 'access_ended' },
    ])
    expect(of(records, 'log').length).toBeGreaterThan(1)
    expect(records.at(-1)?.record).toBe('end')
    await rooms.database.pool.query('update registry.tenure set ended_hour = null where device_id = $1', [
      lock.deviceId,
    ])
  })

  it('does not go over into another tenure of the same device', async () => {
    const { tenureId } = await rooms.registry.device(adaId, lock.deviceId)
    const page = { limit: 1, tenureId: adaId as never }
    await expect(rooms.home.timeline(adaId, lock.deviceId, page)).rejects.toMatchObject({
      code: 'stale_tenure',
    })
    expect((await rooms.home.timeline(adaId, lock.deviceId, { limit: 1, tenureId })).entries).toHaveLength(1)
  })

  it('leaves out what does not open, and says so', async () => {
    await rooms.database.pool.query(
      'update home.timeline set sealed = set_byte(sealed, 30, get_byte(sealed, 30) # 1) where seq = (select max(seq) - 120 from home.timeline)',
    )
    const records = await read(ada)
    expect(of(records, 'stopped')).toMatchObject([{ of: 'timeline', why: 'unreadable' }])
    expect(records.at(-1)?.record).toBe('end')
  })

  it('runs once at a time for an account, and again when the other is over or was left', async () => {
    const first = createPrivacy({ ...rooms, clock: systemClock, log: silentLog })
    const one = first.export(adaId)
    await one.next()
    await expect(first.export(adaId).next()).rejects.toMatchObject({ code: 'rate_limited' })
    await one.return(undefined)
    expect((await first.export(adaId).next()).value).toMatchObject({ record: 'export' })
  })

  it('ends with the session that asked for it', async () => {
    const eve = await newCustomer(rooms)
    const body = await eve.download('/v1/me/export')
    await eve.signOut()
    const reading = (async () => {
      let text = ''
      for await (const chunk of body) text += Buffer.from(chunk).toString()
      return text
    })()
    // Small as it is, it may have been whole before the sign-out.
    expect(await reading.catch(() => 'cut')).toMatch(/cut|"record":"end"/)
    await expect(eve.download('/v1/me/export')).rejects.toMatchObject({ code: 'unauthenticated' })
  })

  it('needs a fresh sign-in', async () => {
    signedIn.agoMs = 9 * 60_000
    expect((await read(ada)).length).toBeGreaterThan(1)
    signedIn.agoMs = 11 * 60_000
    await expect(ada.download('/v1/me/export')).rejects.toMatchObject({ code: 'fresh_sign_in_needed' })
    signedIn.agoMs = 0
  })

  it('is not for operators', async () => {
    const operator = await newOperator(rooms)
    await expect(operator.download('/v1/me/export')).rejects.toMatchObject({ code: 'not_found' })
  })
})
