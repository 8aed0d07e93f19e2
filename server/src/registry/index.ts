import type { Migrations } from '../core/index.ts'

export { claimCodeQrText } from './claim-code.ts'
export type { DecoyIds } from './decoy-devices.ts'
export type { Dispute, DisputeFile } from './dispute-face.ts'
export type {
  AccessChange,
  Act,
  AuthorizedTenure,
  BeforeTenureEnds,
  Checked,
  CheckedCommand,
  CheckedResult,
  ClaimPolicy,
  CommandPolicy,
  DeviceIdentity,
  HeldDevice,
  History,
  Household,
  MemberRole,
  Model,
  ModelDefinition,
  PastDevice,
  ProvisionedDevice,
  ProvisionRequest,
  Refused,
  Registry,
  Tenure,
  TenureChange,
  TenureEnd,
  TransferOffer,
} from './face.ts'
export { modelFields, tenureFields } from './face.ts'
export type { GuestSchedule, GuestWindow, Weekday } from './guest-schedule.ts'
export type { HouseholdEvent, LogEntry, LogPage, Notify, RegistryNotice } from './household-event.ts'
export { householdEventFields } from './household-event.ts'
export type { Present, TenureSpan } from './membership-history.ts'
export type {
  DeviceGrant,
  GrantedAct,
  GuestTerms,
  HouseholdWish,
  Invitation,
  Member,
  NewRole,
  People,
  SupportAccess,
} from './people-face.ts'
export { createRegistry, type RegistryOptions } from './registry.ts'
export type { DeviceCounts, DeviceReach, DeviceResets, HeardDeviceReset } from './reset-face.ts'

export const registryMigrations: Migrations = {
  room: 'registry',
  folder: new URL('./migrations/', import.meta.url),
}
