import Type from 'typebox'
import type { DeviceView } from '../home/index.ts'
import { Id, strict, Time, time } from './shapes.ts'

const AttributeShape = strict({ value: Type.Unknown(), at: Time })

/** A device as its household sees it. Attribute paths are `endpoint/Cluster.Attribute` in Matter's names. */
export const DeviceShape = strict({
  deviceId: Id,
  householdId: Id,
  model: strict({ name: Type.String(), title: Type.String(), deviceType: Type.String() }),
  nickname: Type.Optional(Type.String()),
  online: Type.Boolean(),
  lastSeenAt: Type.Optional(Time),
  attributes: Type.Record(Type.String(), AttributeShape, {
    examples: [{ '1/OnOff.OnOff': { value: true, at: '2026-01-31T12:00:00.000Z' } }],
  }),
})

export function showDevice(device: DeviceView): Type.Static<typeof DeviceShape> {
  const { deviceId, householdId, model, online } = device
  const attributes: Record<string, { value: unknown; at: string }> = {}
  for (const [path, { value, atMs }] of Object.entries(device.attributes))
    attributes[path] = { value, at: time(atMs) }
  return {
    deviceId,
    householdId,
    model: { name: model.name, title: model.title, deviceType: model.deviceType },
    online,
    attributes,
    ...(device.nickname ? { nickname: device.nickname.reveal() } : {}),
    ...(device.lastSeenMs === undefined ? {} : { lastSeenAt: time(device.lastSeenMs) }),
  }
}
