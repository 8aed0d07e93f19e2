import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Client } from '../../src/client/index.ts'
import {
  connectDevice,
  newCustomer,
  newOperator,
  operatorWith,
  provisionDevice,
  type Rooms,
  startRooms,
} from '../support/start-rooms.ts'

interface List {
  affectedId: string
  people: number
  households: number
  devices: number
  fields: { name: string; people: number }[]
}

describe('whom an exposed copy touches, over HTTP', () => {
  let directory: string
  let rooms: Rooms
  let officer: Client
  let owner: Client
  let former: Client
  beforeAll(async () => {
    directory = await mkdtemp(joinPath(tmpdir(), 'hearthlock-exposures-'))
    rooms = await startRooms({ copiesDirectory: directory })
    await newOperator(rooms)
    officer = await operatorWith(rooms, ['security'])
    owner = await newCustomer(rooms)
    former = await newCustomer(rooms)
    await newCustomer(rooms)
    await settle()
    await officer.request('POST', '/v1/copies', {
      body: {
        name: 'quality',
        purpose: 'x',
        fields: ['device.model', 'device.online'],
        expiresSeconds: 86_400,
        to: 'file',
      },
    })
    await vi.waitFor(async () => expect((await make('quality')).devices).toBe(1), { timeout: 20_000 })
  })
  afterAll(async () => {
    await rooms.close()
    await rm(directory, { recursive: true })
  })

  /** A home with a device that has spoken, and an adult who has left since. */
  async function settle(): Promise<void> {
    const { householdId } = await owner.request<{ householdId: string }>('POST', '/v1/households', {
      body: { name: 'Home' },
    })
    const base = `/v1/households/${householdId}`
    const { code } = await owner.request<{ code: string }>('POST', `${base}/invitations`, {
      body: { role: 'adult', hours: 1 },
    })
    await former.request('POST', '/v1/invitations/accept', { body: { code } })
    const device = await provisionDevice(rooms, 'hearth-bulb')
    const mqtt = await connectDevice(rooms, device)
    await owner.request('POST', `${base}/claims`, { body: { code: device.claimCode.reveal() } })
    await mqtt.endAsync(true)
    const again = await connectDevice(rooms, device)
    await again.publishAsync(`hearth/1/${device.deviceId}/attributes`, '{"OnOff.OnOff":true}', { qos: 1 })
    await again.endAsync()
    const { accountId } = await former.request<{ accountId: string }>('GET', '/v1/me')
    await owner.request('DELETE', `${base}/members/${accountId}`)
  }

  const make = (store: string) => officer.request<List>('POST', '/v1/affected', { body: { store } })

  test('everybody who was around its devices is listed, by name and address, also who has left', async () => {
    const list = await make('quality')
    expect(list).toMatchObject({ people: 2, households: 1, devices: 1 })
    const { people } = await officer.request<{ people: { name: string; email: string; fields: string[] }[] }>(
      'GET',
      `/v1/affected/${list.affectedId}/people`,
    )
    expect(people).toHaveLength(2)
    for (const { name, email, fields } of people) {
      expect(name).toBe('Ada')
      expect(email).toMatch(/^customer-\d+@example\.org$/)
      expect(fields).toContain('device.model')
    }
    const { entries } = await officer.request<{ entries: { act: string }[] }>('GET', '/v1/audit?limit=1')
    expect(entries[0]?.act).toBe('affected.read')
  })

  test('a store that is none, a window that ends before it begins, and what is no time are refused', async () => {
    await expect(make('no-such-copy')).rejects.toMatchObject({ code: 'not_found' })
    for (const window of [
      { from: '2026-02-01', to: '2026-01-01' },
      { from: 'yesterday' },
      { to: '1969-01-01' },
    ]) {
      const body = { store: 'quality', ...window }
      await expect(officer.request('POST', '/v1/affected', { body })).rejects.toMatchObject({
        code: 'invalid_request',
      })
    }
  })

  test('a draft for the authority tells the numbers of the list', async () => {
    const { affectedId } = await make('quality')
    const report = await officer.request<{ markdown: string }>(
      'GET',
      `/v1/affected/${affectedId}/report?kind=gdpr-33`,
    )
    expect(report.markdown).toContain('People: 2, in 1 households. Devices: 1.')
    expect(report.markdown).toContain('a copy for analysts')
  })

  test('a notice is drafted and looked at; without a mail server nobody is written to', async () => {
    const { affectedId } = await make('quality')
    const { noticeId } = await officer.request<{ noticeId: string }>('POST', '/v1/notices', {
      body: { affectedId },
    })
    const { lines } = await officer.request<{ lines: string[] }>('GET', `/v1/notices/${noticeId}/preview`)
    expect(lines.join('\n')).toContain('Dear Ada,')
    await expect(officer.request('POST', `/v1/notices/${noticeId}/send`)).rejects.toMatchObject({
      code: 'conflict',
    })
    const body = { affectedId, template: 'Hello {{nam}}' }
    await expect(officer.request('POST', '/v1/notices', { body })).rejects.toThrow('{{nam}} is none of')
  })
})
