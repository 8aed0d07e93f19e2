import type { DeviceGrant, GuestSchedule, GuestTerms } from '../registry/index.ts'

/** How things stand in an export: times in ISO 8601. */
export function iso(ms: number): string {
  return new Date(ms).toISOString()
}

export function scheduleRecord({ untilMs, hours }: GuestSchedule): object {
  return { until: iso(untilMs), ...(hours ? { hours } : {}) }
}

export function grantRecord({ deviceId, acts }: DeviceGrant): object {
  return { deviceId, acts }
}

export function guestRecord({ schedule, devices }: GuestTerms): object {
  return { ...scheduleRecord(schedule), devices: devices.map(grantRecord) }
}
