import Type from 'typebox'
import { AppError, asId, type DeviceId } from '../core/index.ts'
import type { DeviceGrant, GuestSchedule, GuestTerms, NewRole } from '../registry/index.ts'
import { Id, strict, time } from './shapes.ts'

const ClockTime = Type.String({ pattern: '^([01][0-9]|2[0-3]):[0-5][0-9]$', examples: ['09:00'] })
const Weekday = Type.Union([
  Type.Literal('mon'),
  Type.Literal('tue'),
  Type.Literal('wed'),
  Type.Literal('thu'),
  Type.Literal('fri'),
  Type.Literal('sat'),
  Type.Literal('sun'),
])
export const Acts = Type.Array(Type.Union([Type.Literal('view'), Type.Literal('control')]), {
  minItems: 1,
  maxItems: 2,
  description: 'control holds view',
})
export const DeviceGrantShape = strict({ deviceId: Id, acts: Acts })
const scheduleShape = {
  until: Type.String({
    maxLength: 40,
    description: 'ISO 8601; access ends then',
    examples: ['2026-08-31T10:00:00Z'],
  }),
  hours: Type.Optional(
    strict({
      timeZone: Type.String({ maxLength: 64, examples: ['Europe/Berlin'] }),
      windows: Type.Array(
        strict({ days: Type.Array(Weekday, { maxItems: 7 }), from: ClockTime, to: ClockTime }),
        {
          maxItems: 21,
          description: '`to` is not included; at or before `from` it is on the following day',
        },
      ),
    }),
  ),
}
export const ScheduleShape = strict(scheduleShape)
const GuestShape = strict({
  ...scheduleShape,
  devices: Type.Array(DeviceGrantShape, { maxItems: 100 }),
})

/** As whom somebody is invited, or what a member becomes. Owners come by hand-over only. */
export const NewRoleShape = {
  role: Type.Union([Type.Literal('adult'), Type.Literal('guest')]),
  guest: Type.Optional(GuestShape),
}
/** A role as it stands. */
export const roleShape = { role: Type.String(), guest: Type.Optional(GuestShape) }

/** @throws AppError invalid_request when a guest comes without terms, or an adult with them */
export function readNewRole({
  role,
  guest,
}: Type.Static<ReturnType<typeof strict<typeof NewRoleShape>>>): NewRole {
  if ((role === 'guest') !== (guest !== undefined)) {
    throw new AppError('invalid_request', {
      message: 'body: guests, and only they, come with the terms of a guest',
    })
  }
  return guest ? { role: 'guest', guest: readGuest(guest) } : { role: 'adult' }
}

function readGuest({ until, hours, devices }: Type.Static<typeof GuestShape>): GuestTerms {
  return { schedule: { untilMs: Date.parse(until), hours }, devices: devices.map(readGrant) }
}

function readGrant({ deviceId, acts }: Type.Static<typeof DeviceGrantShape>): DeviceGrant {
  return { deviceId: asId<DeviceId>(deviceId), acts }
}

export function showGuest({ schedule, devices }: GuestTerms): Type.Static<typeof GuestShape> {
  return {
    ...showSchedule(schedule),
    devices: devices.map(({ deviceId, acts }) => ({ deviceId, acts: [...acts] })),
  }
}

export function showSchedule({ untilMs, hours }: GuestSchedule): Type.Static<typeof ScheduleShape> {
  return { until: time(untilMs), ...(hours ? { hours } : {}) }
}
