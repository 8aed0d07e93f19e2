import type { Migrations } from '../core/index.ts'

export { normaliseEmail } from './email.ts'
export {
  createVault,
  type PersonExport,
  type PersonKind,
  personFields,
  type Vault,
  type VaultOptions,
} from './vault.ts'

export const vaultMigrations: Migrations = {
  room: 'vault',
  folder: new URL('./migrations/', import.meta.url),
}
