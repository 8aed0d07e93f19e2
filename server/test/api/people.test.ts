import type { MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Client, LiveUpdate } from '../../src/client/index.ts'
import type { ProvisionedDevice } from '../../src/registry/index.ts'
import {
  connectDevice,
  newCustomer,
  newOperator,
  operatorWith,
  provisionDevice,
  type Rooms,
  startRooms,
} from '../support/start-rooms.ts'

const DAY_MS = 24 * 3_600_000

describe('people of a household over HTTP', () => {
  let rooms: Rooms
  let ada: Client
  let operator: Client
  let householdId: string
  let lock: ProvisionedDevice
  let socket: MqttClient
  const home = (path = '') => `/v1/households/${householdId}${path}`
  const until = () => new Date(Date.now() + DAY_MS).toISOString()
  const idOf = async (client: Client) =>
    (await client.request<{ accountId: string }>('GET', '/v1/me')).accountId
  const asGuest = (acts: string[] = ['view']) => ({
    role: 'guest',
    guest: { until: until(), devices: [{ deviceId: lock.deviceId, acts }] },
  })
  async function join(role: object): Promise<Client> {
    const { code } = await ada.request<{ code: string }>('POST', home('/invitations'), { body: role })
    const client = await newCustomer(rooms)
    await client.request('POST', '/v1/invitations/accept', { body: { code } })
    return client
  }

  beforeAll(async () => {
    rooms = await startRooms({ limits: { refusedCodesPer10MinutesPerAddress: 1_000 } })
    ada = await newCustomer(rooms)
    operator = await newOperator(rooms)
    const made = await ada.request<{ householdId: string }>('POST', '/v1/households', {
      body: { name: 'Home' },
    })
    householdId = made.householdId
    lock = await provisionDevice(rooms, 'hearth-lock')
    socket = await connectDevice(rooms, lock)
    await ada.request('POST', home('/claims'), { body: { code: lock.claimCode.reveal() } })
  })
  afterAll(async () => {
    await socket?.endAsync(true)
    await rooms.close()
  })

  it('an invitation is a code and a link that keeps it from servers and logs', async () => {
    const made = await ada.request<{ code: string; link: string; invitationId: string }>(
      'POST',
      home('/invitations'),
      {
        body: { role: 'adult' },
      },
    )
    expect(made).toMatchObject({ role: 'adult', by: { name: 'Ada' }, link: `${rooms.url}/join#${made.code}` })
    const { invitations } = await ada.request<{ invitations: object[] }>('GET', home('/invitations'))
    expect(JSON.stringify(invitations)).not.toContain(made.code)
    expect(invitations).toMatchObject([{ invitationId: made.invitationId }])
    await ada.request('DELETE', home(`/invitations/${made.invitationId}`))
    expect(await ada.request('GET', home('/invitations'))).toEqual({ invitations: [] })
  })

  it('the page of the link runs its own script only, and is kept by no cache', async () => {
    const page = await fetch(`${rooms.url}/join`)
    expect(page.headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; style-src 'sha256-\S+'; script-src 'sha256-\S+'; form-action 'none'/,
    )
    expect(page.headers.get('cache-control')).toBe('no-store')
    expect(page.headers.get('referrer-policy')).toBe('no-referrer')
  })

  it('an invitation can be sent by letter', async () => {
    const invite = () =>
      ada.request('POST', home('/invitations'), { body: { role: 'adult', email: 'new@example.org' } })
    await invite()
    const { letters } = await operator.request<{ letters: { kind: string; letterId: string }[] }>(
      'GET',
      '/v1/outbox',
    )
    const letter = letters.find(({ kind }) => kind === 'invitation')
    const shown = await operator.request<{ to: string; text: string }>(
      'GET',
      `/v1/outbox/${letter?.letterId}`,
    )
    expect(shown.to).toBe('new@example.org')
    const code = /[0-9A-Z]{4}(-[0-9A-Z]{4}){3}/.exec(shown.text)?.[0]
    const bob = await newCustomer(rooms)
    await bob.request('POST', '/v1/invitations/accept', { body: { code } })
    expect(await bob.request('GET', home())).toMatchObject({ role: 'adult' })
  })

  it('letters to one stranger are few, whoever sends them', async () => {
    const refusals: string[] = []
    for (let people = 0; people < 2; people++) {
      const eve = await newCustomer(rooms)
      const own = await eve.request<{ householdId: string }>('POST', '/v1/households', {
        body: { name: 'Den' },
      })
      for (let i = 0; i < 6; i++) {
        const body = { role: 'adult', email: 'pestered@example.org' }
        const path = `/v1/households/${own.householdId}/invitations`
        await eve.request('POST', path, { body }).catch(({ code }) => refusals.push(code))
      }
    }
    expect(refusals).toEqual(['rate_limited', 'rate_limited'])
  })

  it('letters to strangers are few', async () => {
    const eve = await newCustomer(rooms)
    const own = await eve.request<{ householdId: string }>('POST', '/v1/households', {
      body: { name: 'Den' },
    })
    const send = async (to: number) => {
      const made = await eve.request<{ invitationId: string }>(
        'POST',
        `/v1/households/${own.householdId}/invitations`,
        {
          body: { role: 'adult', email: `stranger-${to}@example.org` },
        },
      )
      await eve.request('DELETE', `/v1/households/${own.householdId}/invitations/${made.invitationId}`)
    }
    for (let to = 0; to < 20; to++) await send(to)
    await expect(send(20)).rejects.toMatchObject({ code: 'rate_limited' })
  })

  it('owners and adults see names, nobody sees an e-mail address', async () => {
    const bob = await join({ role: 'adult' })
    const members = await bob.request('GET', home('/members'))
    expect(JSON.stringify(members)).toContain('"name":"Ada"')
    expect(JSON.stringify(members)).not.toContain('@')
  })

  it('a guest sees the name of the home and the granted devices, and nothing of its people', async () => {
    const cleo = await join(asGuest())
    expect(await cleo.request('GET', home())).toEqual({
      householdId,
      name: 'Home',
      role: 'guest',
      schedule: { until: expect.any(String) },
    })
    expect(await cleo.request('GET', home('/devices'))).toMatchObject({
      devices: [{ deviceId: lock.deviceId }],
    })
    for (const path of ['/members', '/log', '/invitations', '/support-access']) {
      await expect(cleo.request('GET', home(path))).rejects.toMatchObject({ code: 'not_found' })
    }
    const command = { body: { command: 'DoorLock.UnlockDoor' } }
    await expect(
      cleo.request('POST', `/v1/devices/${lock.deviceId}/commands`, command),
    ).rejects.toMatchObject({
      code: 'not_found',
    })
  })

  it('codes cannot be guessed: whoever fails too often waits', async () => {
    const eve = await newCustomer(rooms)
    const guess = () =>
      eve.request('POST', '/v1/invitations/accept', { body: { code: '0000-0000-0000-0000' } })
    for (let times = 0; times < 10; times++)
      await expect(guess()).rejects.toMatchObject({ code: 'code_refused' })
    await expect(guess()).rejects.toMatchObject({
      code: 'rate_limited',
      retryAfterSeconds: expect.any(Number),
    })
  })

  it('a guest comes with terms, an adult without', async () => {
    for (const body of [{ role: 'guest' }, { ...asGuest(), role: 'adult' }, { role: 'owner' }]) {
      await expect(ada.request('POST', home('/invitations'), { body })).rejects.toMatchObject({
        code: 'invalid_request',
      })
    }
    const never = { role: 'guest', guest: { until: 'never', devices: [] } }
    await expect(ada.request('POST', home('/invitations'), { body: never })).rejects.toMatchObject({
      code: 'invalid_request',
    })
  })

  it('the live stream of a member who is removed ends at once', async () => {
    const bob = await join(asGuest())
    const updates: LiveUpdate[] = []
    const ready = vi.fn()
    const watching = bob.live(householdId, (update) => updates.push(update), AbortSignal.timeout(20_000), {
      onReady: ready,
    })
    watching.catch(() => {})
    await vi.waitFor(() => expect(ready).toHaveBeenCalled(), 5_000)
    const watchers = rooms.home.stats().home_watchers ?? 0
    await ada.request('DELETE', home(`/members/${await idOf(bob)}`))
    await vi.waitFor(() => expect(rooms.home.stats().home_watchers).toBe(watchers - 1), 1_000)
    await expect(watching).rejects.toMatchObject({ code: 'not_found' })
    expect(updates).toEqual([])
  })

  it('the log tells people by their names as they are now', async () => {
    const bob = await join({ role: 'adult' })
    const { entries } = await bob.request<{
      entries: { kind: string; by: object; account: object; details: object }[]
    }>('GET', home('/log?limit=1'))
    expect(entries).toMatchObject([
      {
        kind: 'joined',
        by: { name: 'Ada' },
        account: { accountId: await idOf(bob) },
        details: { role: 'adult' },
      },
    ])
  })

  describe('support', () => {
    const device = (path = '') => `/v1/devices/${lock.deviceId}${path}`

    it('reaches nothing that no household gave', async () => {
      for (const path of ['', '/timeline']) {
        await expect(operator.request('GET', device(path))).rejects.toMatchObject({ code: 'not_found' })
      }
      const body = { command: 'DoorLock.UnlockDoor' }
      await expect(operator.request('POST', device('/commands'), { body })).rejects.toMatchObject({
        code: 'not_found',
      })
    })

    it('sees the device it was given, within the acts, until the household ends it', async () => {
      const { code } = await operator.request<{ code: string }>('POST', '/v1/operator/access-requests')
      const body = { code, devices: [lock.deviceId], acts: ['view'], hours: 4 }
      const access = await ada.request('POST', home('/support-access'), { body })
      expect(access).toMatchObject({
        operator: { name: 'Olga' },
        devices: [{ deviceId: lock.deviceId, acts: ['view'] }],
      })
      expect(await operator.request('GET', '/v1/operator/devices')).toMatchObject({
        devices: [{ deviceId: lock.deviceId, acts: ['view'] }],
      })
      expect(await operator.request('GET', device())).toMatchObject({ deviceId: lock.deviceId })
      expect(await operator.request('GET', device('/timeline'))).toHaveProperty('entries')
      const command = { body: { command: 'DoorLock.UnlockDoor' } }
      await expect(operator.request('POST', device('/commands'), command)).rejects.toMatchObject({
        code: 'not_found',
      })
      await expect(operator.request('PATCH', device(), { body: { nickname: 'Mine' } })).rejects.toMatchObject(
        {
          code: 'not_found',
        },
      )
      for (const path of ['', '/devices', '/members', '/log', '/live']) {
        await expect(operator.request('GET', home(path))).rejects.toMatchObject({ code: 'not_found' })
      }
      const { entries } = await ada.request<{ entries: { kind: string }[] }>('GET', home('/log?limit=2'))
      expect(entries.map(({ kind }) => kind)).toEqual(['support_used', 'support_given'])
      await ada.request('DELETE', home(`/support-access/${await idOf(operator)}`))
      await expect(operator.request('GET', device())).rejects.toMatchObject({ code: 'not_found' })
      expect(await ada.request('GET', home('/support-access'))).toEqual({ access: [] })
      expect(await operator.request('GET', '/v1/operator/devices')).toEqual({ devices: [] })
    })

    it('that is support no longer, or no operator, has no access that would wake up again', async () => {
      const grants = async () =>
        (await rooms.database.pool.query("select 1 from registry.access_grant where grantee = 'operator'"))
          .rowCount
      const ends: ((accountId: string) => Promise<unknown>)[] = [
        (id) => operator.request('PUT', `/v1/operators/${id}/roles`, { body: { roles: ['analyst'] } }),
        (id) => operator.request('DELETE', `/v1/operators/${id}`),
      ]
      for (const end of ends) {
        const helper = await operatorWith(rooms, ['support'])
        const { code } = await helper.request<{ code: string }>('POST', '/v1/operator/access-requests')
        const body = { code, devices: [lock.deviceId], acts: ['view'], hours: 1 }
        await ada.request('POST', home('/support-access'), { body })
        expect(await grants()).toBe(1)
        await end(await idOf(helper))
        expect(await grants()).toBe(0)
        await expect(helper.request('GET', device())).rejects.toBeDefined()
      }
    })
  })
})
