export type { ExportRecord, HouseholdWish, Privacy } from './face.ts'
export { createPrivacy, type PrivacyOptions } from './privacy.ts'
