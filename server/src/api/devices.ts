import { asId, type DeviceId, Personal } from '../core/index.ts'
import type { RouteParts } from './app.ts'
import { byRoom } from './authentication.ts'
import { DeviceShape, showDevice } from './device-shape.ts'
import { principalOf } from './principal.ts'
import { HumanText, Id, strict } from './shapes.ts'
import { PageQuery, showTimeline, TimelineShape } from './timeline-shape.ts'

export const DeviceParams = strict({ deviceId: Id })
const tags = ['device']

export function deviceRoutes({ app, authenticate, limit, registry, home }: RouteParts): void {
  app.get(
    '/v1/devices/:deviceId',
    {
      onRequest: [authenticate.customerOrSupport, limit.perAccount],
      schema: {
        summary: 'One device, with its live state',
        tags,
        params: DeviceParams,
        response: { 200: DeviceShape },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      const deviceId = asId<DeviceId>(request.params.deviceId)
      return showDevice(await home.device(principalOf(request).accountId, deviceId))
    },
  )

  app.patch(
    '/v1/devices/:deviceId',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Give the device another nickname',
        tags,
        params: DeviceParams,
        body: strict({ nickname: HumanText(60) }),
        response: { 200: DeviceShape },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      const { accountId } = principalOf(request)
      const deviceId = asId<DeviceId>(request.params.deviceId)
      await registry.renameDevice(accountId, deviceId, new Personal(request.body.nickname))
      return showDevice(await home.device(accountId, deviceId))
    },
  )

  app.get(
    '/v1/devices/:deviceId/timeline',
    {
      onRequest: [authenticate.customerOrSupport, limit.perAccount],
      schema: {
        summary: 'What the device did in this tenure, newest first',
        tags,
        params: DeviceParams,
        querystring: PageQuery,
        response: { 200: TimelineShape },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      const { before, limit: pageSize = 50 } = request.query
      const deviceId = asId<DeviceId>(request.params.deviceId)
      const page = await home.timeline(principalOf(request).accountId, deviceId, {
        limit: pageSize,
        ...(before === undefined ? {} : { before }),
      })
      return showTimeline(page)
    },
  )
}
