import Type from 'typebox'
import { type AccountId, asId, type DeviceId, type HouseholdId, Secret } from '../core/index.ts'
import type { SupportAccess } from '../registry/index.ts'
import type { RouteParts } from './app.ts'
import { byRoom, role } from './authentication.ts'
import { OneUseCode } from './invitations.ts'
import { namePeople, type Person, PersonShape } from './person-shape.ts'
import { principalOf } from './principal.ts'
import { Acts, DeviceGrantShape } from './role-shape.ts'
import { Id, strict, Time, time } from './shapes.ts'

const AccessShape = strict({
  operator: PersonShape,
  devices: Type.Array(DeviceGrantShape),
  until: Time,
})
const tags = ['household']

/** How one of the maker's operators comes to see something in a home: the operator asks, the household decides. */
export function supportAccessRoutes({ app, authenticate, limit, registry, vault }: RouteParts): void {
  app.post(
    '/v1/operator/access-requests',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      schema: {
        summary: 'A one-use code, good for half an hour, to say to the household that has called',
        tags: ['operator'],
        response: { 201: strict({ code: Type.String(), expiresAt: Time }) },
      },
      preHandler: [role('support')],
    },
    async (request, reply) => {
      const { code, expiresAtMs } = await registry.requestSupportAccess(principalOf(request).accountId)
      return reply.code(201).send({ code: code.reveal(), expiresAt: time(expiresAtMs) })
    },
  )

  app.get(
    '/v1/operator/devices',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      schema: {
        summary: 'The devices that households let the caller use now',
        tags: ['operator'],
        response: {
          200: strict({ devices: Type.Array(strict({ ...DeviceGrantShape.properties, until: Time })) }),
        },
      },
      preHandler: [role('support')],
    },
    async (request) => {
      const devices = await registry.supportedDevices(principalOf(request).accountId)
      return {
        devices: devices.map(({ deviceId, acts, untilMs }) => ({
          deviceId,
          acts: [...acts],
          until: time(untilMs),
        })),
      }
    },
  )

  app.post(
    '/v1/households/:householdId/support-access',
    {
      onRequest: [authenticate.customer, limit.perAccount, limit.refusedCodes.check],
      schema: {
        summary: 'Let the support operator who said this code use these devices, for so many hours',
        tags,
        params: strict({ householdId: Id }),
        body: strict({
          code: OneUseCode,
          devices: Type.Array(Id, { minItems: 1, maxItems: 100 }),
          acts: Acts,
          hours: Type.Integer({ minimum: 1, maximum: 72 }),
        }),
        response: { 201: AccessShape },
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      const { code, devices, acts, hours } = request.body
      const access = await limit.refusedCodes.counting(request, () =>
        registry.giveSupportAccess({
          accountId: principalOf(request).accountId,
          householdId: asId<HouseholdId>(request.params.householdId),
          code: new Secret(code),
          devices: devices.map((id) => asId<DeviceId>(id)),
          acts,
          hours,
        }),
      )
      return reply.code(201).send(show(access, await namePeople(vault, [access.operator])))
    },
  )

  app.get(
    '/v1/households/:householdId/support-access',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Which support operators have access now, to what, and until when',
        tags,
        params: strict({ householdId: Id }),
        response: { 200: strict({ access: Type.Array(AccessShape) }) },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      const householdId = asId<HouseholdId>(request.params.householdId)
      const access = await registry.supportAccess(principalOf(request).accountId, householdId)
      const person = await namePeople(
        vault,
        access.map(({ operator }) => operator),
      )
      return { access: access.map((each) => show(each, person)) }
    },
  )

  app.delete(
    '/v1/households/:householdId/support-access/:accountId',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'End all that this support operator was given in the household',
        tags,
        params: strict({ householdId: Id, accountId: Id }),
        response: { 204: Type.Null() },
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      await registry.endSupportAccess({
        accountId: principalOf(request).accountId,
        householdId: asId<HouseholdId>(request.params.householdId),
        operator: asId<AccountId>(request.params.accountId),
      })
      return reply.code(204).send(null)
    },
  )
}

function show({ operator, devices, untilMs }: SupportAccess, person: (id: AccountId) => Person) {
  return {
    operator: person(operator),
    devices: devices.map(({ deviceId, acts }) => ({ deviceId, acts: [...acts] })),
    until: time(untilMs),
  }
}
