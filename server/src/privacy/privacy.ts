import type { Database } from '../core/index.ts'
import type { Mail } from '../mail/index.ts'
import { createExport, type ExportDependencies } from './export.ts'
import type { Privacy } from './face.ts'

export interface PrivacyOptions extends ExportDependencies {
  database: Database
  mail: Mail
}

export function createPrivacy(options: PrivacyOptions): Privacy {
  return { export: createExport(options) }
}
