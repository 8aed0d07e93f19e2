import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newOperator, type Rooms, startRooms } from '../support/start-rooms.ts'

describe('the audit log over HTTP', () => {
  let rooms: Rooms
  beforeAll(async () => {
    rooms = await startRooms()
  })
  afterAll(() => rooms.close())

  it('shows entries and their verification to a security officer', async () => {
    const operator = await newOperator(rooms)
    await rooms.database.transaction((tx) =>
      rooms.guard.audit.record(tx, {
        actor: 'system',
        act: 'test.done',
        subject: { kind: 'thing', id: '1' },
        details: { many: ['a', 'b'], count: 2, sure: true },
      }),
    )
    const { entries } = await operator.request<{ entries: object[] }>('GET', '/v1/audit?limit=1')
    expect(entries).toEqual([
      {
        seq: expect.any(Number),
        readable: true,
        at: expect.stringMatching(/^\d{4}-/),
        actor: 'system',
        act: 'test.done',
        subject: { kind: 'thing', id: '1' },
        details: { many: ['a', 'b'], count: 2, sure: true },
      },
    ])
    const verdict = await operator.request<{ head: string }>('GET', '/v1/audit/verification')
    expect(verdict).toMatchObject({ intact: true, problems: [], head: expect.stringMatching(/^\d+\./) })
    const noted = encodeURIComponent(verdict.head)
    expect(await operator.request('GET', `/v1/audit/verification?noted=${noted}`)).toEqual(verdict)
  })
})
