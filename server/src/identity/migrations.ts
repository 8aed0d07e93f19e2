import type { Migrations } from '../core/index.ts'

export const identityMigrations: Migrations = {
  room: 'identity',
  folder: new URL('./migrations/', import.meta.url),
}
