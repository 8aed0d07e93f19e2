import type { Migrations } from '../core/index.ts'

export { type FileKeyOptions, openKeyFile } from './key-file.ts'
export { createKeys, type Keys, type KeysOptions } from './keys.ts'
export { place } from './place.ts'
export { type KeyProvider, memoryKeyProvider, type RootKey } from './provider.ts'
export { derivePurposeSecret, purposeKey } from './purpose.ts'
export { SEAL_OVERHEAD_BYTES } from './seal.ts'
export type { PurposeKey, SealingKey } from './sealing-key.ts'
export type { KeyKind } from './wrapped-keys.ts'

export const keysMigrations: Migrations = {
  room: 'keys',
  folder: new URL('./migrations/', import.meta.url),
}
