import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/index.ts'
import { newCustomer, newOperator, type Rooms, startRooms } from '../support/start-rooms.ts'

/** What changes who can come in. A route that is added to these rooms' doors belongs here, too. */
const customers = [
  ['POST', '/v1/me/passkeys', undefined],
  ['DELETE', '/v1/me/passkeys/0f8fad5b-d9cb-469f-a165-70867728950e', undefined],
  ['POST', '/v1/me/second-factor', undefined],
  ['POST', '/v1/me/second-factor/confirm', { code: '123456' }],
  ['POST', '/v1/me/second-factor/remove', { code: '123456' }],
] as const
const operators = [
  ['POST', '/v1/operators/invitations', { roles: ['support'] }],
  ['PUT', '/v1/operators/0f8fad5b-d9cb-469f-a165-70867728950e/roles', { roles: ['support'] }],
  ['POST', '/v1/resets', { scope: 'devices', quietly: true }],
  ['DELETE', '/v1/operators/0f8fad5b-d9cb-469f-a165-70867728950e', undefined],
  ['DELETE', '/v1/stores/0f8fad5b-d9cb-469f-a165-70867728950e', undefined],
  ['POST', '/v1/findings/1/close', {}],
] as const

describe('a sign-in of more than ten minutes ago', () => {
  let rooms: Rooms
  let customer: Client
  let operator: Client
  let ageMs = 0
  beforeAll(async () => {
    rooms = await startRooms({
      replace: ({ identity }) => ({
        identity: {
          ...identity,
          authenticate: async (request) => {
            const principal = await identity.authenticate(request)
            return { ...principal, signedInAtMs: principal.signedInAtMs - ageMs }
          },
        },
      }),
    })
    customer = await newCustomer(rooms)
    operator = await newOperator(rooms)
  })
  afterAll(() => rooms.close())

  const codeOf = (client: Client, method: string, path: string, body: object | undefined) =>
    client.request(method, path, { body }).then(
      () => 'done',
      ({ code }: { code: string }) => code,
    )

  it.each([...customers, ...operators])(
    'does not do for %s %s, and a fresh one does',
    async (method, path, body) => {
      const client = path.startsWith('/v1/me') ? customer : operator
      ageMs = 11 * 60_000
      expect(await codeOf(client, method, path, body)).toBe('fresh_sign_in_needed')
      ageMs = 0
      expect(await codeOf(client, method, path, body)).not.toBe('fresh_sign_in_needed')
    },
  )
})
