import type { MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Client, ClientError, LiveUpdate } from '../../src/client/index.ts'
import type { ProvisionedDevice } from '../../src/registry/index.ts'
import {
  connectDevice,
  newCustomer,
  newOperator,
  provisionDevice,
  type Rooms,
  readModel,
  startRooms,
} from '../support/start-rooms.ts'

interface DeviceAnswer {
  deviceId: string
  online: boolean
  nickname?: string
  attributes: Record<string, { value: unknown; at: string }>
}
interface CommandAnswer {
  commandId: string
  state: string
  status?: string
}

describe('a household over HTTP', () => {
  let rooms: Rooms
  let ada: Client
  let stranger: Client
  let householdId: string
  let lock: ProvisionedDevice
  let mqttLock: MqttClient
  const topic = (name: string) => `hearth/1/${lock.deviceId}/${name}`

  beforeAll(async () => {
    rooms = await startRooms()
    ada = await newCustomer(rooms)
    stranger = await newCustomer(rooms)
    const made = await ada.request<{ householdId: string }>('POST', '/v1/households', {
      body: { name: 'Home' },
    })
    householdId = made.householdId
    lock = await provisionDevice(rooms, 'hearth-lock')
    mqttLock = await connectDevice(rooms, lock)
  })
  afterAll(async () => {
    await mqttLock?.endAsync(true)
    await rooms.close()
  })

  it('its founder owns it, and nobody else sees it', async () => {
    expect(await ada.request('GET', '/v1/households')).toEqual({
      households: [{ householdId, name: 'Home', role: 'owner' }],
    })
    expect(await ada.request('GET', `/v1/households/${householdId}`)).toMatchObject({ name: 'Home' })
    expect(await stranger.request('GET', '/v1/households')).toEqual({ households: [] })
    for (const path of ['', '/devices', '/live'])
      await expect(stranger.request('GET', `/v1/households/${householdId}${path}`)).rejects.toMatchObject({
        code: 'not_found',
      })
  })

  it('a wrong claim code is refused, and a stranger cannot claim into the household', async () => {
    const claims = `/v1/households/${householdId}/claims`
    await expect(
      ada.request('POST', claims, { body: { code: '0000-0000-0000-0000' } }),
    ).rejects.toMatchObject({ code: 'claim_refused', status: 422 })
    await expect(
      stranger.request('POST', claims, { body: { code: lock.claimCode.reveal() } }),
    ).rejects.toMatchObject({ status: expect.toBeOneOf([404, 422]) })
  })

  it('the device is claimed with its code, shown live, and obeys', async () => {
    const updates: LiveUpdate[] = []
    const ready = vi.fn()
    const stop = new AbortController()
    const watching = ada.live(householdId, (update) => updates.push(update), stop.signal, { onReady: ready })
    await vi.waitFor(() => expect(ready).toHaveBeenCalled(), 5000)

    const claimed = await ada.request<DeviceAnswer>('POST', `/v1/households/${householdId}/claims`, {
      body: { code: lock.claimCode.reveal(), nickname: 'Front door' },
    })
    expect(claimed).toMatchObject({ deviceId: lock.deviceId, householdId, nickname: 'Front door' })

    await mqttLock.subscribeAsync(topic('commands'), { qos: 1 })
    await mqttLock.publishAsync(topic('attributes'), '{"DoorLock.LockState":"Unlocked"}', { qos: 1 })
    await vi.waitFor(() => expect(updates.some(({ kind }) => kind === 'attributes')).toBe(true), 10_000)
    const device = await ada.request<DeviceAnswer>('GET', `/v1/devices/${lock.deviceId}`)
    expect(device.attributes['1/DoorLock.LockState']?.value).toBe('Unlocked')

    mqttLock.on('message', (_topic, payload) => {
      const { id } = JSON.parse(payload.toString())
      void mqttLock.publishAsync(topic('results'), JSON.stringify({ id, status: 'SUCCESS' }), { qos: 1 })
    })
    const done = await ada.request<CommandAnswer>('POST', `/v1/devices/${lock.deviceId}/commands`, {
      body: { command: 'DoorLock.LockDoor' },
      headers: { prefer: 'wait=20' },
    })
    expect(done).toMatchObject({ state: 'succeeded', status: 'SUCCESS' })
    expect(await ada.request('GET', `/v1/commands/${done.commandId}`)).toMatchObject({ state: 'succeeded' })
    await vi.waitFor(
      () => expect(updates.some(({ command }) => command?.state === 'succeeded')).toBe(true),
      10_000,
    )
    stop.abort()
    await watching

    await vi.waitFor(async () => {
      const page = await ada.request<{ entries: { kind: string }[] }>(
        'GET',
        `/v1/devices/${lock.deviceId}/timeline?limit=50`,
      )
      expect(page.entries.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['attributes', 'command']))
    }, 10_000)
  })

  it('an idempotency key makes a repeated request the same command, and another request a refusal', async () => {
    const path = `/v1/devices/${lock.deviceId}/commands`
    const headers = { 'idempotency-key': 'once' }
    const body = { command: 'DoorLock.LockDoor' }
    const first = await ada.request<CommandAnswer>('POST', path, { body, headers })
    const again = await ada.request<CommandAnswer>('POST', path, { body, headers })
    expect(again.commandId).toBe(first.commandId)
    await expect(
      ada.request('POST', path, { body: { command: 'DoorLock.UnlockDoor' }, headers }),
    ).rejects.toMatchObject({ code: 'idempotency_mismatch', status: 422 })
    await expect(
      ada.request('POST', path, { body, headers: { 'idempotency-key': 'x'.repeat(129) } }),
    ).rejects.toMatchObject({ code: 'invalid_request' })
  })

  it('a stranger can neither see, rename nor command the device, and learns nothing of it', async () => {
    const unknown = '0f8fad5b-d9cb-469f-a165-70867728950e'
    for (const [method, path, body] of [
      ['GET', '', undefined],
      ['GET', '/timeline', undefined],
      ['PATCH', '', { nickname: 'Mine' }],
      ['POST', '/commands', { command: 'DoorLock.UnlockDoor' }],
    ] as const) {
      const refusals = await Promise.all(
        [lock.deviceId, unknown].map((id) =>
          stranger.request(method, `/v1/devices/${id}${path}`, { body }).then(
            () => undefined,
            (error: ClientError) => error,
          ),
        ),
      )
      expect(refusals[0]).toMatchObject({ code: 'not_found', status: 404 })
      expect(refusals[0]?.message).toBe(refusals[1]?.message)
    }
  })

  it('its nickname can be changed', async () => {
    const renamed = await ada.request<DeviceAnswer>('PATCH', `/v1/devices/${lock.deviceId}`, {
      body: { nickname: 'Garden gate' },
    })
    expect(renamed.nickname).toBe('Garden gate')
  })

  it('a sign-out ends the live streams of that session at once', async () => {
    const bob = await newCustomer(rooms)
    const { householdId: home } = await bob.request<{ householdId: string }>('POST', '/v1/households', {
      body: { name: 'Flat' },
    })
    const ready = vi.fn()
    const watching = bob.live(home, () => {}, new AbortController().signal, { onReady: ready })
    await vi.waitFor(() => expect(ready).toHaveBeenCalled(), 5000)
    const [ended] = await Promise.all([watching.catch((error) => error), bob.signOut()])
    expect(ended).toMatchObject({ code: 'unauthenticated' })
    expect(rooms.api.stats().api_live_streams).toBe(0)
  })

  it('an operator describes a model and provisions devices, and each secret is shown once', async () => {
    const operator = await newOperator(rooms)
    const plug = await readModel('hearth-plug')
    expect(await operator.request('POST', '/v1/models', { body: plug })).toMatchObject({
      name: 'hearth-plug',
    })
    const { models } = await operator.request<{ models: { name: string }[] }>('GET', '/v1/models')
    expect(models.map(({ name }) => name).sort()).toEqual(['hearth-lock', 'hearth-plug'])
    const { devices } = await operator.request<{ devices: Record<string, string>[] }>('POST', '/v1/devices', {
      body: { model: 'hearth-plug', count: 2, withPassword: true },
    })
    expect(devices).toHaveLength(2)
    for (const device of devices) {
      expect(device.certificate).toContain('BEGIN CERTIFICATE')
      expect(device.privateKey).toContain('BEGIN PRIVATE KEY')
      expect(device.claimCode).toMatch(/^([0-9A-Z]{4}-){3}[0-9A-Z]{4}$/)
      expect(device.qr).toBe(`HEARTH:1:${device.claimCode?.replaceAll('-', '')}`)
      expect(device.password).toBeTruthy()
    }
    for (const body of [
      { model: 'hearth-plug' },
      { model: 'hearth-plug', count: 1, requests: ['x'] },
      { model: 'hearth-plug', count: 0 },
      { model: 'hearth-plug', count: 1001 },
      { model: 'hearth-plug', requests: ['no request at all'] },
    ])
      await expect(operator.request('POST', '/v1/devices', { body })).rejects.toMatchObject({
        code: 'invalid_request',
      })
    await expect(
      operator.request('POST', '/v1/devices', { body: { model: 'nothing', count: 1 } }),
    ).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('guessing of claim codes', () => {
  it('must wait after a few refusals', async () => {
    const rooms = await startRooms({ limits: { refusedClaimsPer10MinutesPerAccount: 2 } })
    try {
      const eve = await newCustomer(rooms)
      const { householdId } = await eve.request<{ householdId: string }>('POST', '/v1/households', {
        body: { name: 'Den' },
      })
      const guess = () =>
        eve
          .request('POST', `/v1/households/${householdId}/claims`, { body: { code: '0000-0000-0000-0000' } })
          .catch((error) => error.code)
      expect([await guess(), await guess(), await guess()]).toEqual([
        'claim_refused',
        'claim_refused',
        'rate_limited',
      ])
    } finally {
      await rooms.close()
    }
  })
})
