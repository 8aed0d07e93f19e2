import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Client, type ClientError, isClientError } from '../../src/client/index.ts'
import { newCustomer, newOperator, type Rooms, readModel, startRooms } from '../support/start-rooms.ts'

/** All that a stranger may reach. A new route is either here, on purpose, or closed. */
const open = [
  'GET /healthz',
  'HEAD /healthz',
  'GET /readyz',
  'HEAD /readyz',
  'GET /v1/openapi.json',
  'GET /v1/device-authority',
  'GET /join',
  'POST /v1/sign-up',
  'POST /v1/recovery',
  'POST /v1/recovery/complete',
  'POST /v1/operators',
  'GET /oauth/*',
  'POST /oauth/*',
  'OPTIONS /oauth/*',
  'GET /.well-known/openid-configuration',
  'POST /.well-known/openid-configuration',
  'OPTIONS /.well-known/openid-configuration',
]
const forOperators = [
  'GET /v1/models',
  'POST /v1/models',
  'POST /v1/devices',
  'GET /v1/outbox',
  'GET /v1/outbox/:letterId',
  'POST /v1/operator/access-requests',
]
const forBoth = [
  'GET /v1/me',
  'DELETE /v1/me/session',
  'GET /v1/me/passkeys',
  'POST /v1/me/passkeys',
  'PATCH /v1/me/passkeys/:passkeyId',
  'DELETE /v1/me/passkeys/:passkeyId',
  'DELETE /v1/me/notices/:noticeId',
  'GET /v1/me/sessions',
  'DELETE /v1/me/sessions',
  'DELETE /v1/me/sessions/:sessionId',
]

/** Doors to one device, which let support through to the room: a stranger's request must be whole to be refused there. */
const bodies: Record<string, object> = {
  'POST /v1/devices/:deviceId/commands': { command: 'DoorLock.UnlockDoor' },
}

const ID = '0f8fad5b-d9cb-469f-a165-70867728950e'
const pathOf = (url: string) => url.replaceAll(/:\w+/g, ID)

describe('who reaches which route', () => {
  let rooms: Rooms
  let customer: Client
  let operator: Client
  let closed: { method: string; url: string; name: string }[]

  beforeAll(async () => {
    rooms = await startRooms()
    customer = await newCustomer(rooms)
    operator = await newOperator(rooms)
    closed = rooms.api
      .routes()
      .map(({ method, url }) => ({ method, url, name: `${method} ${url}` }))
      .filter(({ name }) => !open.includes(name))
  })
  afterAll(() => rooms.close())

  it('the list of open routes holds no route that does not exist', () => {
    const names = rooms.api.routes().map(({ method, url }) => `${method} ${url}`)
    expect(names).toEqual(expect.arrayContaining([...open, ...forBoth, ...forOperators]))
    expect(closed.length).toBeGreaterThan(12)
  })

  it('every other route asks a stranger to sign in first', async () => {
    for (const { method, url, name } of closed) {
      const body = method === 'GET' || method === 'DELETE' ? {} : { body: '{}' }
      const response = await fetch(rooms.url + pathOf(url), {
        method,
        headers: { 'content-type': 'application/json' },
        ...body,
      })
      expect({ name, status: response.status }).toEqual({ name, status: 401 })
      expect(response.headers.get('www-authenticate')).toMatch(/^DPoP /)
      expect(((await response.json()) as { code: string }).code).toBe('unauthenticated')
    }
  })

  it('the wrong kind of account finds nothing there, whatever it sends', async () => {
    const nowhere = await refusal(operator, 'GET', '/v1/nowhere')
    expect(nowhere.status).toBe(404)
    for (const { method, url, name } of closed) {
      if (forBoth.includes(name)) continue
      const stranger = forOperators.includes(name) ? customer : operator
      const refused = await refusal(stranger, method, pathOf(url), bodies[name])
      expect({ name, code: refused.code, status: refused.status, message: refused.message }).toEqual({
        name,
        code: nowhere.code,
        status: 404,
        message: nowhere.message,
      })
    }
  })

  it('an operator without the role finds nothing there', async () => {
    const analysts = await startRooms({
      replace: ({ identity }) => ({
        identity: {
          ...identity,
          authenticate: async (request) => ({
            ...(await identity.authenticate(request)),
            roles: ['analyst', 'support', 'security'],
          }),
        },
      }),
    })
    try {
      const analyst = await newOperator(analysts)
      for (const [method, url, body] of [
        ['GET', '/v1/models', undefined],
        ['POST', '/v1/models', await readModel('hearth-lock')],
        ['POST', '/v1/devices', { model: 'hearth-lock', count: 1 }],
      ] as const)
        expect(await refusal(analyst, method, url, body)).toMatchObject({ status: 404, code: 'not_found' })
    } finally {
      await analysts.close()
    }
  })
})

async function refusal(client: Client, method: string, path: string, body?: unknown): Promise<ClientError> {
  try {
    await client.request(method, path, body === undefined && method !== 'GET' ? { body: {} } : { body })
  } catch (error) {
    if (isClientError(error)) return error
    throw error
  }
  throw new Error(`${method} ${path} was not refused`)
}
