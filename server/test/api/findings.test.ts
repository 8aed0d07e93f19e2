import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/index.ts'
import type { Observed } from '../../src/guard/index.ts'
import { newOperator, operatorWith, type Rooms, startRooms } from '../support/start-rooms.ts'

describe('stores and findings over HTTP', () => {
  let rooms: Rooms
  let officer: Client
  let answer: Observed = { verdict: 'open', protocol: 'redis', evidence: '3 keys' }
  beforeAll(async () => {
    rooms = await startRooms({ guard: { look: async () => [answer] } })
    officer = await newOperator(rooms)
  })
  afterAll(() => rooms.close())

  const path = '/v1/findings/1'

  it('a store is added, looked at, found open, taken, and closed when it is over', async () => {
    const body = { address: 'redis://10.1.1.1', name: 'Cache' }
    const added = await officer.request<{ storeId: string }>('POST', '/v1/stores', { body })
    await expect(officer.request('POST', '/v1/stores', { body })).rejects.toMatchObject({ status: 409 })
    const { stores } = await officer.request<{ stores: object[] }>('POST', '/v1/stores/probe')
    expect(stores).toMatchObject([
      { name: 'Cache', storeId: added.storeId, verdict: 'open', evidence: '3 keys' },
    ])
    expect(await officer.request('GET', '/v1/findings')).toMatchObject({
      findings: [{ findingId: 1, kind: 'open', state: 'open', store: 'Cache' }],
    })
    const engineer = await operatorWith(rooms, ['engineer'])
    expect(await engineer.request('POST', `${path}/acknowledge`)).toMatchObject({
      acknowledged: { by: expect.any(String) },
    })
    const closing = () => officer.request('POST', `${path}/close`, { body: {} })
    await expect(closing()).rejects.toMatchObject({ status: 409 })
    answer = { verdict: 'protected', protocol: 'redis', evidence: 'asks for a password' }
    for (let n = 0; n < 3; n++) await officer.request('POST', '/v1/stores/probe')
    expect(await closing()).toMatchObject({ state: 'closed', nextSteps: [] })
    expect(await officer.request('GET', '/v1/findings')).toMatchObject({ findings: [] })
    await officer.request('DELETE', `/v1/stores/${added.storeId}`)
    expect(await officer.request('GET', '/v1/stores')).toEqual({ stores: [] })
    await expect(officer.request('GET', '/v1/findings/x')).rejects.toMatchObject({ status: 404 })
  })

  it('pages each security officer by a letter, and no other operator', async () => {
    answer = { verdict: 'open', protocol: 'redis', evidence: '4 keys' }
    await officer.request('POST', '/v1/stores', { body: { address: 'redis://10.1.1.2', name: 'Second' } })
    await officer.request('POST', '/v1/stores/probe')
    await rooms.guard.start()
    const letters = async () => (await rooms.mail.waiting()).filter(({ kind }) => kind === 'finding')
    while ((await letters()).length === 0) await new Promise((resolve) => setTimeout(resolve, 20))
    const waiting = await letters()
    expect(waiting).toHaveLength(1)
    const letter = await officer.request<{ to: string; text: string }>(
      'GET',
      `/v1/outbox/${waiting[0]?.letterId}`,
    )
    expect(letter.to).toBe('operator@maker.example')
    for (const word of ['Second, redis://10.1.1.2', '4 keys', 'hearthlock findings acknowledge 2']) {
      expect(letter.text).toContain(word)
    }
  })
})
