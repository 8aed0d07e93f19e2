import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/index.ts'
import { Personal, Secret } from '../../src/core/index.ts'
import {
  connectDevice,
  newCustomer,
  newOperator,
  operatorWith,
  provisionDevice,
  type Rooms,
  readModel,
  startRooms,
} from '../support/start-rooms.ts'

interface Entry {
  actor: string
  act: string
  subject: { kind: string; id: string }
  details?: Record<string, unknown>
}

describe('what operators do stands in the audit log', () => {
  let rooms: Rooms
  let first: Client
  let me: string

  beforeAll(async () => {
    rooms = await startRooms()
    first = await newOperator(rooms)
    me = (await first.request<{ accountId: string }>('GET', '/v1/me')).accountId
  })
  afterAll(() => rooms.close())

  const newest = async () =>
    (await first.request<{ entries: Entry[] }>('GET', '/v1/audit?limit=1')).entries[0]

  it('becoming an operator', async () => {
    expect(await newest()).toMatchObject({
      actor: me,
      act: 'operators.enrolled',
      subject: { kind: 'operator', id: me },
      details: { roles: ['engineer', 'analyst', 'support', 'security'], invitedBy: 'system' },
    })
  })

  it('inviting one, changing its roles and removing it', async () => {
    const other = await operatorWith(rooms, ['support'])
    const { accountId } = await other.request<{ accountId: string }>('GET', '/v1/me')
    expect(await newest()).toMatchObject({ actor: accountId, details: { invitedBy: me, roles: ['support'] } })
    await first.request('POST', '/v1/operators/invitations', { body: { roles: ['analyst'] } })
    expect(await newest()).toMatchObject({
      actor: me,
      act: 'operators.invited',
      details: { roles: ['analyst'] },
    })
    await first.request('PUT', `/v1/operators/${accountId}/roles`, { body: { roles: ['engineer'] } })
    const subject = { kind: 'operator', id: accountId }
    const changed = { actor: me, act: 'operators.roles_changed', subject, details: { roles: ['engineer'] } }
    expect(await newest()).toMatchObject(changed)
    await first.request('DELETE', `/v1/operators/${accountId}`)
    expect(await newest()).toMatchObject({ actor: me, act: 'operators.removed', subject })
  })

  it('adding a model and making devices', async () => {
    await first.request('POST', '/v1/models', { body: await readModel('hearth-lock') })
    expect(await newest()).toMatchObject({ actor: me, act: 'models.added', details: { name: 'hearth-lock' } })
    await first.request('POST', '/v1/devices', { body: { model: 'hearth-lock', count: 2 } })
    expect(await newest()).toMatchObject({ actor: me, act: 'devices.provisioned', details: { count: 2 } })
  })

  it('reading a letter in its addressee’s stead', async () => {
    await rooms.database.transaction((tx) =>
      rooms.mail.enqueue(tx, {
        to: new Personal('ada@example.org'),
        letter: { kind: 'recovery_code', code: new Secret('K7QWM') },
      }),
    )
    const { letters } = await first.request<{ letters: { letterId: string }[] }>('GET', '/v1/outbox')
    await first.request('GET', `/v1/outbox/${letters[0]?.letterId}`)
    expect(await newest()).toMatchObject({
      actor: me,
      act: 'letters.read',
      subject: { kind: 'letter', id: letters[0]?.letterId },
      details: { kind: 'recovery_code' },
    })
  })

  it('asking a household for access', async () => {
    await first.request('POST', '/v1/operator/access-requests')
    expect(await newest()).toMatchObject({ actor: me, act: 'support.requested' })
  })

  it('each step of a dispute, without what was written about it', async () => {
    const customer = await newCustomer(rooms)
    const { householdId } = await customer.request<{ householdId: string }>('POST', '/v1/households', {
      body: { name: 'Lake house' },
    })
    const deviceId = await heldLock(customer, householdId)
    const dispute = await first.request<{ disputeId: string }>('POST', '/v1/disputes', {
      body: { deviceId, reason: 'Mr Zanzibar moved', evidence: 'case 7' },
    })
    const subject = { kind: 'dispute', id: dispute.disputeId }
    expect(await newest()).toMatchObject({ actor: me, act: 'disputes.opened', subject })
    await first.request('POST', `/v1/disputes/${dispute.disputeId}/withdraw`)
    expect(await newest()).toMatchObject({ actor: me, act: 'disputes.withdrawn', subject })
    const { entries } = await first.request<{ entries: Entry[] }>('GET', '/v1/audit?limit=5')
    expect(JSON.stringify(entries)).not.toMatch(/Zanzibar|case 7/)
  })

  async function heldLock(customer: Client, householdId: string): Promise<string> {
    const device = await provisionDevice(rooms, 'hearth-lock')
    const socket = await connectDevice(rooms, device)
    await customer.request('POST', `/v1/households/${householdId}/claims`, {
      body: { code: device.claimCode.reveal(), nickname: 'Front door' },
    })
    await socket.endAsync(true)
    return device.deviceId
  }
})
