import { createErasure, type ErasureDependencies } from './erasure.ts'
import { createExport, type ExportDependencies } from './export.ts'
import type { Privacy } from './face.ts'

export type PrivacyOptions = ExportDependencies & ErasureDependencies

export function createPrivacy(options: PrivacyOptions): Privacy {
  return { export: createExport(options), erase: createErasure(options) }
}
