import Type from 'typebox'
import { asId, type DeviceId, type HouseholdId, Personal, Secret } from '../core/index.ts'
import type { TransferOffer } from '../registry/index.ts'
import type { RouteParts } from './app.ts'
import { byRoom } from './authentication.ts'
import { DeviceShape, showDevice } from './device-shape.ts'
import { DeviceParams } from './devices.ts'
import { principalOf } from './principal.ts'
import { Empty, HumanText, Id, strict, Time, time } from './shapes.ts'

const HistoryChoice = Type.Union([Type.Literal('keep'), Type.Literal('destroy')], {
  description: 'Whether the household may go on reading what the device did, or nobody may any more',
})
const OfferShape = strict({ expiresAt: Time, history: HistoryChoice })
const tags = ['device']

/** The ends of a tenure that a household brings about itself, and how another one begins with them. */
export function tenureRoutes({ app, authenticate, limit, registry, home }: RouteParts): void {
  app.post(
    '/v1/devices/:deviceId/release',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Give the device up; whoever has it may reset it and claim it',
        tags,
        params: DeviceParams,
        body: strict({ history: HistoryChoice }),
        response: { 200: Empty },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      await registry.release({
        accountId: principalOf(request).accountId,
        deviceId: asId<DeviceId>(request.params.deviceId),
        history: chosen(request.body.history),
      })
      return {}
    },
  )

  app.post(
    '/v1/devices/:deviceId/transfer-offers',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'A code, good once and for a day, by which another household takes the device over',
        description: 'A new offer takes the place of an open one.',
        tags,
        params: DeviceParams,
        body: strict({ history: HistoryChoice }),
        response: { 201: strict({ code: Type.String(), expiresAt: Time, history: HistoryChoice }) },
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      const { code, ...offer } = await registry.offerTransfer({
        accountId: principalOf(request).accountId,
        deviceId: asId<DeviceId>(request.params.deviceId),
        history: chosen(request.body.history),
      })
      return reply.code(201).send({ code: code.reveal(), ...show(offer) })
    },
  )

  app.get(
    '/v1/devices/:deviceId/transfer-offers',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'The open offer, if there is one',
        tags,
        params: DeviceParams,
        response: { 200: strict({ offers: Type.Array(OfferShape) }) },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      const deviceId = asId<DeviceId>(request.params.deviceId)
      const offer = await registry.transferOffer(principalOf(request).accountId, deviceId)
      return { offers: offer ? [show(offer)] : [] }
    },
  )

  app.delete(
    '/v1/devices/:deviceId/transfer-offers',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: { summary: 'Take the offer back', tags, params: DeviceParams, response: { 200: Empty } },
      preHandler: [byRoom],
    },
    async (request) => {
      const deviceId = asId<DeviceId>(request.params.deviceId)
      await registry.cancelTransfer(principalOf(request).accountId, deviceId)
      return {}
    },
  )

  app.post(
    '/v1/households/:householdId/transfers',
    {
      onRequest: [authenticate.customer, limit.perAccount, limit.refusedCodes.check],
      schema: {
        summary: 'Take over a device that another household offers',
        tags: ['household'],
        params: strict({ householdId: Id }),
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
      const { deviceId } = await limit.refusedCodes.counting(request, () =>
        registry.acceptTransfer({
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

function chosen(history: Type.Static<typeof HistoryChoice>) {
  return history === 'keep' ? 'kept' : 'destroyed'
}

function show({ untilMs, history }: TransferOffer): Type.Static<typeof OfferShape> {
  return { expiresAt: time(untilMs), history: history === 'kept' ? 'keep' : 'destroy' }
}
