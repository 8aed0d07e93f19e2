import { AppError, type Database } from '../core/index.ts'
import type { Access } from './access.ts'
import type { Changes } from './changes.ts'
import type { Registry } from './face.ts'
import type { TenureEndings } from './tenure-endings.ts'
import { lockCurrentTenure, lockHouseholds } from './tenure-locks.ts'

/** Giving a device up: nobody holds it then, and the next claim needs its physical reset. */
export function createReleases(d: {
  database: Database
  access: Access
  endings: TenureEndings
  changes: Changes
}): Pick<Registry, 'release'> {
  const { database, access, endings, changes } = d
  return {
    async release({ accountId, deviceId, history }) {
      const { row: seen } = await access.onDevice(accountId, deviceId, 'manage')
      const change = await database.transaction(async (tx) => {
        await lockHouseholds(tx, [seen.household_id])
        const tenure = await lockCurrentTenure(tx, seen.tenure_id)
        if (!tenure) throw new AppError('not_found')
        // Again, now that nothing moves: the right may have ended while this waited.
        await access.onDevice(accountId, deviceId, 'manage', tx)
        return endings.endTenure(tx, tenure, { how: 'released', history, by: accountId })
      })
      changes.tenure(change)
    },
  }
}
