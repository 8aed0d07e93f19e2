export type { ExportRecord, Privacy } from './face.ts'
export { createPrivacy, type PrivacyOptions } from './privacy.ts'
