import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Client, isClientError } from '../../src/client/index.ts'
import { AppError } from '../../src/core/index.ts'
import {
  newCustomer,
  newOperator,
  operatorWith,
  type Rooms,
  readModel,
  startRooms,
} from '../support/start-rooms.ts'

const operatorRoles = ['engineer', 'analyst', 'support', 'security'] as const
const callers = ['customer', ...operatorRoles] as const
type Caller = (typeof callers)[number]
type Who = 'everybody' | readonly Caller[]

const account = callers
const customer = ['customer'] as const
const customerOrSupport = ['customer', 'support'] as const

/**
 * Every route, and exactly who gets past its door; behind it the rooms decide. A new route stands here, or this fails.
 * No role of an operator opens a home: `support` gets to the rooms where a device's own household may have let it in.
 */
const doors: Record<string, Who> = {
  'GET /healthz': 'everybody',
  'HEAD /healthz': 'everybody',
  'GET /readyz': 'everybody',
  'HEAD /readyz': 'everybody',
  'GET /v1/openapi.json': 'everybody',
  'GET /v1/device-authority': 'everybody',
  'GET /join': 'everybody',
  'POST /v1/sign-up': 'everybody',
  'POST /v1/sign-up/confirm': 'everybody',
  'POST /v1/recovery': 'everybody',
  'POST /v1/recovery/complete': 'everybody',
  'POST /v1/operators': 'everybody',
  'GET /oauth/*': 'everybody',
  'POST /oauth/*': 'everybody',
  'OPTIONS /oauth/*': 'everybody',
  'GET /.well-known/openid-configuration': 'everybody',
  'POST /.well-known/openid-configuration': 'everybody',
  'OPTIONS /.well-known/openid-configuration': 'everybody',

  'GET /v1/me': account,
  'DELETE /v1/me': account,
  'DELETE /v1/me/session': account,
  'GET /v1/me/passkeys': account,
  'POST /v1/me/passkeys': account,
  'PATCH /v1/me/passkeys/:passkeyId': account,
  'DELETE /v1/me/passkeys/:passkeyId': account,
  'DELETE /v1/me/notices/:noticeId': account,
  'GET /v1/me/sessions': account,
  'DELETE /v1/me/sessions': account,
  'DELETE /v1/me/sessions/:sessionId': account,
  'PUT /v1/me/password': customer,
  'GET /v1/me/second-factor': customer,
  'POST /v1/me/second-factor': customer,
  'POST /v1/me/second-factor/confirm': customer,
  'POST /v1/me/second-factor/remove': customer,
  'GET /v1/me/export': customer,
  'POST /v1/me/email': customer,
  'POST /v1/me/email/verify': customer,
  'POST /v1/me/recovery/confirm': customer,
  'POST /v1/me/recovery/deny': customer,

  'GET /v1/households': customer,
  'POST /v1/households': customer,
  'GET /v1/households/:householdId': customer,
  'GET /v1/households/:householdId/devices': customer,
  'POST /v1/households/:householdId/claims': customer,
  'GET /v1/households/:householdId/live': customer,
  'GET /v1/households/:householdId/log': customer,
  'POST /v1/households/:householdId/invitations': customer,
  'GET /v1/households/:householdId/invitations': customer,
  'DELETE /v1/households/:householdId/invitations/:invitationId': customer,
  'POST /v1/invitations/accept': customer,
  'GET /v1/households/:householdId/members': customer,
  'PUT /v1/households/:householdId/members/:accountId': customer,
  'DELETE /v1/households/:householdId/members/:accountId': customer,
  'POST /v1/households/:householdId/hand-over': customer,
  'POST /v1/households/:householdId/support-access': customer,
  'GET /v1/households/:householdId/support-access': customer,
  'DELETE /v1/households/:householdId/support-access/:accountId': customer,

  'GET /v1/devices/:deviceId': customerOrSupport,
  'GET /v1/devices/:deviceId/timeline': customerOrSupport,
  'POST /v1/devices/:deviceId/commands': customerOrSupport,
  'GET /v1/commands/:commandId': customerOrSupport,
  'PATCH /v1/devices/:deviceId': customer,
  'POST /v1/devices/:deviceId/release': customer,
  'POST /v1/devices/:deviceId/transfer-offers': customer,
  'GET /v1/devices/:deviceId/transfer-offers': customer,
  'DELETE /v1/devices/:deviceId/transfer-offers': customer,
  'POST /v1/households/:householdId/transfers': customer,
  'GET /v1/households/:householdId/past-devices': customer,
  'GET /v1/tenures/:tenureId/timeline': customer,
  'DELETE /v1/tenures/:tenureId/history': customer,
  'GET /v1/households/:householdId/disputes': customer,
  'POST /v1/households/:householdId/disputes/:disputeId/objection': customer,

  'GET /v1/copies': ['engineer', 'analyst', 'security'],
  'POST /v1/copies': ['engineer', 'security'],
  'GET /v1/copies/:copy': ['engineer', 'analyst', 'security'],
  'POST /v1/copies/:copyId/pause': ['engineer', 'security'],
  'POST /v1/copies/:copyId/resume': ['engineer', 'security'],
  'POST /v1/copies/:copyId/reopen': ['security'],
  'POST /v1/copies/:copyId/burn': ['engineer', 'security'],
  'GET /v1/copies/:copy/metrics/:metric': ['analyst'],
  'GET /v1/metrics': ['engineer', 'analyst', 'security'],

  'GET /v1/models': ['engineer'],
  'POST /v1/models': ['engineer'],
  'POST /v1/devices': ['engineer'],
  'POST /v1/resets/plan': ['security'],
  'POST /v1/resets': ['security'],
  'GET /v1/resets': ['engineer', 'security'],
  'GET /v1/resets/:resetId': ['engineer', 'security'],
  'GET /v1/devices/keeping-passwords': ['engineer', 'security'],
  'POST /v1/affected': ['security'],
  'GET /v1/affected': ['security'],
  'GET /v1/affected/:affectedId': ['security'],
  'GET /v1/affected/:affectedId/people': ['security'],
  'GET /v1/affected/:affectedId/report': ['security'],
  'GET /v1/notice-template': ['security'],
  'POST /v1/notices': ['security'],
  'GET /v1/notices': ['security'],
  'GET /v1/notices/:noticeId': ['security'],
  'GET /v1/notices/:noticeId/preview': ['security'],
  'POST /v1/notices/:noticeId/send': ['security'],
  'GET /v1/audit': ['engineer', 'security'],
  'GET /v1/stores': ['engineer', 'security'],
  'POST /v1/stores': ['engineer', 'security'],
  'DELETE /v1/stores/:storeId': ['engineer', 'security'],
  'POST /v1/stores/probe': ['engineer', 'security'],
  'GET /v1/findings': ['engineer', 'security'],
  'GET /v1/findings/:findingId': ['engineer', 'security'],
  'POST /v1/findings/:findingId/acknowledge': ['engineer', 'security'],
  'POST /v1/findings/:findingId/close': ['security'],
  'GET /v1/audit/verification': ['engineer', 'security'],
  'GET /v1/outbox': ['support'],
  'GET /v1/outbox/:letterId': ['support'],
  'POST /v1/operator/access-requests': ['support'],
  'GET /v1/disputes': ['support', 'security'],
  'POST /v1/disputes': ['support'],
  'POST /v1/disputes/:disputeId/withdraw': ['support'],
  'POST /v1/disputes/:disputeId/reject': ['security'],
  'POST /v1/disputes/:disputeId/complete': ['support', 'security'],
  'GET /v1/operator/devices': ['support'],
  'GET /v1/operators': ['security'],
  'POST /v1/operators/invitations': ['security'],
  'PUT /v1/operators/:accountId/roles': ['security'],
  'DELETE /v1/operators/:accountId': ['security'],
}

/** A role is looked at when the body has been: these must be whole to get so far. */
const bodies: Record<string, () => object | Promise<object>> = {
  'POST /v1/models': () => readModel('hearth-lock'),
  'POST /v1/copies': () => ({
    name: 'quality',
    purpose: 'x',
    fields: ['device.model'],
    expiresSeconds: 86_400,
    to: 'file',
  }),
  'POST /v1/devices': () => ({ model: 'hearth-lock', count: 1 }),
  'POST /v1/disputes': () => ({ deviceId: ID, reason: 'x', evidence: 'x' }),
  'POST /v1/resets/plan': () => ({ scope: 'all', quietly: true }),
  'POST /v1/resets': () => ({ scope: 'all', quietly: true }),
  'POST /v1/stores': () => ({ address: 'store.example', name: 'x' }),
  'POST /v1/affected': () => ({ store: 'x' }),
  'POST /v1/notices': () => ({ affectedId: ID }),
  'POST /v1/operators/invitations': () => ({ roles: ['support'] }),
  'PUT /v1/operators/:accountId/roles': () => ({ roles: ['support'] }),
}

const ID = '0f8fad5b-d9cb-469f-a165-70867728950e'
const pathOf = (url: string) => url.replace(':findingId', '1').replaceAll(/:\w+/g, ID)

describe('who gets past the door of which route', () => {
  let rooms: Rooms
  let clients: Record<Caller, Client>
  let walking = false
  const atTheDoor: (string | symbol)[] = ['authenticate', 'dpopNonce']

  /** While we walk, whoever gets to a room is told so, and nothing happens there. */
  function watched<Room extends object>(room: Room): Room {
    return new Proxy(room, {
      get(target, name, receiver) {
        const value = Reflect.get(target, name, receiver)
        if (!walking || atTheDoor.includes(name)) return value
        if (typeof value === 'object' && value !== null) return watched(value)
        if (typeof value !== 'function') return value
        return () => {
          throw new AppError('conflict', { message: 'came in' })
        }
      },
    })
  }

  const routes = () =>
    rooms.api.routes().map(({ method, url }) => ({ method, url, name: `${method} ${url}` }))
  const closed = () => routes().filter(({ name }) => doors[name] !== 'everybody')

  async function answerTo(client: Client, method: string, path: string, body?: object) {
    const withBody = body ? { body } : method === 'GET' || method === 'DELETE' ? {} : { body: {} }
    try {
      await client.request(method, path, withBody)
      return { status: 200, code: '', message: '' }
    } catch (error) {
      if (!isClientError(error)) throw error
      return { status: error.status, code: error.code, message: error.message }
    }
  }

  beforeAll(async () => {
    rooms = await startRooms({
      replace: ({ insight, home, registry, identity, vault, mail, privacy, guard, reset, exposures }) => ({
        home: watched(home),
        registry: watched(registry),
        identity: watched(identity),
        vault: watched(vault),
        mail: watched(mail),
        privacy: watched(privacy),
        guard: watched(guard),
        reset: watched(reset),
        exposures: watched(exposures),
        insight: watched(insight),
      }),
    })
    await newOperator(rooms)
    clients = {
      customer: await newCustomer(rooms),
      engineer: await operatorWith(rooms, ['engineer']),
      analyst: await operatorWith(rooms, ['analyst']),
      support: await operatorWith(rooms, ['support']),
      security: await operatorWith(rooms, ['security']),
    }
  })
  afterAll(() => rooms.close())

  it('is written down for every route that there is, and for no other', () => {
    const names = routes().map(({ name }) => name)
    expect([...new Set(names)].sort()).toEqual(Object.keys(doors).sort())
  })

  it('a stranger is asked to sign in first', async () => {
    for (const { method, url, name } of closed()) {
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

  it.each(callers)('%s: in where the table says so, and elsewhere there is nothing', async (caller) => {
    const client = clients[caller]
    const nowhere = await answerTo(client, 'GET', '/v1/nowhere')
    expect(nowhere).toMatchObject({ status: 404, code: 'not_found' })
    walking = true
    try {
      for (const { method, url, name } of closed()) {
        const answer = await answerTo(client, method, pathOf(url), await bodies[name]?.())
        if ((doors[name] as readonly Caller[]).includes(caller)) {
          // 400: past the door, and the body of this walk is not what the route wants.
          expect({ name, in: answer.message === 'came in' || answer.status === 400, answer }).toMatchObject({
            name,
            in: true,
          })
        } else {
          expect({ name, ...answer }).toEqual({ name, ...nowhere })
        }
      }
    } finally {
      walking = false
    }
  })
})
