import type { DeviceId, HouseholdId, KeyId, TenureId } from '../core/index.ts'
import type { Tenure } from './face.ts'

export const TENURE_COLUMNS = [
  'tenure.tenure_id',
  'tenure.device_id',
  'tenure.household_id',
  'tenure.key_id',
  'tenure.started_hour',
] as const

interface TenureRow {
  tenure_id: TenureId
  device_id: DeviceId
  household_id: HouseholdId
  key_id: KeyId
  started_hour: Date
}

export function toTenure(row: TenureRow): Tenure {
  return {
    tenureId: row.tenure_id,
    deviceId: row.device_id,
    householdId: row.household_id,
    keyId: row.key_id,
    startedHourMs: row.started_hour.getTime(),
  }
}
