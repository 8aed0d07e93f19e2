import Type from 'typebox'
import { asId, type HouseholdId, type TenureId } from '../core/index.ts'
import type { PastDevice } from '../registry/index.ts'
import type { RouteParts } from './app.ts'
import { byRoom } from './authentication.ts'
import { principalOf } from './principal.ts'
import { Empty, Id, strict, Time, time } from './shapes.ts'
import { PageQuery, showTimeline, TimelineShape } from './timeline-shape.ts'

const PastDeviceShape = strict({
  tenureId: Id,
  deviceId: Id,
  model: strict({ name: Type.String(), title: Type.String(), deviceType: Type.String() }),
  nickname: Type.Optional(Type.String()),
  startedAt: Time,
  endedAt: Time,
  how: Type.Optional(Type.String({ description: 'released, transferred, reset or disputed' })),
})
const TenureParams = strict({ tenureId: Id })
const tags = ['household']

/** What tenures leave to the household that held the device: to read, or to destroy. */
export function pastDeviceRoutes({ app, authenticate, limit, registry, home }: RouteParts): void {
  app.get(
    '/v1/households/:householdId/past-devices',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'The devices that the household held once and whose history it keeps',
        tags,
        params: strict({ householdId: Id }),
        response: { 200: strict({ devices: Type.Array(PastDeviceShape) }) },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      const householdId = asId<HouseholdId>(request.params.householdId)
      const devices = await registry.pastDevices(principalOf(request).accountId, householdId)
      return { devices: devices.map(show) }
    },
  )

  app.get(
    '/v1/tenures/:tenureId/timeline',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'What such a device did in its time with the household, newest first',
        tags,
        params: TenureParams,
        querystring: PageQuery,
        response: { 200: TimelineShape },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      const { before, limit: pageSize = 50 } = request.query
      const tenureId = asId<TenureId>(request.params.tenureId)
      return showTimeline(
        await home.pastTimeline(principalOf(request).accountId, tenureId, { limit: pageSize, before }),
      )
    },
  )

  app.delete(
    '/v1/tenures/:tenureId/history',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Destroy the key of what such a device did: nobody reads it any more',
        tags,
        params: TenureParams,
        response: { 200: Empty },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      await registry.destroyHistory(principalOf(request).accountId, asId<TenureId>(request.params.tenureId))
      return {}
    },
  )
}

function show(device: PastDevice): Type.Static<typeof PastDeviceShape> {
  const { tenureId, deviceId, model, nickname, startedHourMs, endedAtMs, how } = device
  return {
    tenureId,
    deviceId,
    model: { name: model.name, title: model.title, deviceType: model.deviceType },
    startedAt: time(startedHourMs),
    endedAt: time(endedAtMs),
    ...(nickname === undefined ? {} : { nickname: nickname.reveal() }),
    ...(how === undefined ? {} : { how }),
  }
}
