import Type from 'typebox'
import { asId, type HouseholdId, Personal, Secret } from '../core/index.ts'
import type { Household } from '../registry/index.ts'
import type { RouteParts } from './app.ts'
import { byRoom } from './authentication.ts'
import { DeviceShape, showDevice } from './device-shape.ts'
import { principalOf } from './principal.ts'
import { ScheduleShape, showSchedule } from './role-shape.ts'
import { HumanText, Id, strict } from './shapes.ts'

const HouseholdShape = strict({
  householdId: Id,
  name: Type.String(),
  role: Type.String({ description: 'What the caller is in it: owner, adult or guest' }),
  schedule: Type.Optional(ScheduleShape),
})
const HouseholdParams = strict({ householdId: Id })
const tags = ['household']

export function householdRoutes({ app, authenticate, limit, registry, home }: RouteParts): void {
  app.get(
    '/v1/households',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'The households of the caller',
        tags,
        response: { 200: strict({ households: Type.Array(HouseholdShape) }) },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      const households = await registry.households(principalOf(request).accountId)
      return { households: households.map(show) }
    },
  )

  app.post(
    '/v1/households',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Found a household; the caller owns it',
        tags,
        body: strict({ name: HumanText(100) }),
        response: { 201: HouseholdShape },
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      const name = new Personal(request.body.name)
      const household = await registry.createHousehold(principalOf(request).accountId, { name })
      return reply.code(201).send(show(household))
    },
  )

  app.get(
    '/v1/households/:householdId',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: { summary: 'One household', tags, params: HouseholdParams, response: { 200: HouseholdShape } },
      preHandler: [byRoom],
    },
    async (request) => {
      const householdId = asId<HouseholdId>(request.params.householdId)
      return show(await registry.household(principalOf(request).accountId, householdId))
    },
  )

  app.get(
    '/v1/households/:householdId/devices',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'The devices that the household holds now, with their live state',
        tags,
        params: HouseholdParams,
        response: { 200: strict({ devices: Type.Array(DeviceShape) }) },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      const householdId = asId<HouseholdId>(request.params.householdId)
      const devices = await home.devices(principalOf(request).accountId, householdId)
      return { devices: devices.map(showDevice) }
    },
  )

  app.post(
    '/v1/households/:householdId/claims',
    {
      onRequest: [authenticate.customer, limit.perAccount, limit.refusedClaims.check],
      schema: {
        summary: 'Claim a device that is switched on and online, with the code that came with it',
        tags,
        params: HouseholdParams,
        body: strict({
          code: Type.String({ minLength: 16, maxLength: 64, examples: ['7K2M-9QXD-4T1V-H8CW'] }),
          nickname: Type.Optional(HumanText(60)),
        }),
        response: { 201: DeviceShape },
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      const { accountId } = principalOf(request)
      const { code, nickname } = request.body
      const { deviceId } = await limit.refusedClaims.counting(request, () =>
        registry.claim({
          accountId,
          householdId: asId<HouseholdId>(request.params.householdId),
          code: new Secret(code),
          ...(nickname === undefined ? {} : { nickname: new Personal(nickname) }),
        }),
      )
      return reply.code(201).send(showDevice(await home.device(accountId, deviceId)))
    },
  )
}

function show({ householdId, name, role, schedule }: Household) {
  return {
    householdId,
    name: name.reveal(),
    role,
    ...(schedule ? { schedule: showSchedule(schedule) } : {}),
  }
}
