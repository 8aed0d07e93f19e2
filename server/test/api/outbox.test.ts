import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Personal, Secret } from '../../src/core/index.ts'
import { newOperator, type Rooms, startRooms } from '../support/start-rooms.ts'

describe('the outbox over HTTP', () => {
  let rooms: Rooms
  beforeAll(async () => {
    rooms = await startRooms()
    await rooms.database.transaction((tx) =>
      rooms.mail.enqueue(tx, {
        to: new Personal('ada@example.org'),
        letter: { kind: 'recovery_code', code: new Secret('K7QWM') },
      }),
    )
  })
  afterAll(() => rooms.close())

  it('shows support what waits, and a letter when no mail server is there to send it', async () => {
    const operator = await newOperator(rooms)
    const { sends, letters } = await operator.request<{ sends: boolean; letters: { letterId: string }[] }>(
      'GET',
      '/v1/outbox',
    )
    expect(sends).toBe(false)
    expect(JSON.stringify(letters)).not.toContain('ada')
    expect(letters).toMatchObject([{ kind: 'recovery_code', attempts: 0 }])
    const letter = await operator.request('GET', `/v1/outbox/${letters[0]?.letterId}`)
    expect(letter).toMatchObject({ to: 'ada@example.org', text: expect.stringContaining('K7QWM') })
  })

  it('is not there for an operator without the role support', async () => {
    const other = await startRooms({
      replace: ({ identity }) => ({
        identity: {
          ...identity,
          authenticate: async (request) => ({
            ...(await identity.authenticate(request)),
            roles: ['engineer', 'analyst', 'security'],
          }),
        },
      }),
    })
    try {
      const engineer = await newOperator(other)
      for (const path of ['/v1/outbox', '/v1/outbox/0f8fad5b-d9cb-469f-a165-70867728950e']) {
        await expect(engineer.request('GET', path)).rejects.toMatchObject({ status: 404, code: 'not_found' })
      }
    } finally {
      await other.close()
    }
  })
})
