import type { HouseholdId, KeyId, TenureId, Tx } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { TenureChange } from './face.ts'
import type { RegistryTables } from './tables.ts'
import type { TenureEndings } from './tenure-endings.ts'
import { lockCurrentTenure } from './tenure-locks.ts'
import { TENURE_COLUMNS, toTenure } from './tenure-row.ts'

/**
 * The one way in which a household ends: all that it holds and held goes with it, then its key, and with that whatever
 * an old copy of the rows still has. Empty rows stay, without a name: tenures refer to them.
 */
export interface HouseholdEndings {
  /** The caller has locked the household, and announces the changes after the commit. */
  endHousehold(tx: Tx, householdId: HouseholdId): Promise<TenureChange[]>
}

export function createHouseholdEndings({
  keys,
  endings,
}: {
  keys: Keys
  endings: TenureEndings
}): HouseholdEndings {
  /** In the order of the devices: the order of their locks. */
  function current(tx: Tx, householdId: HouseholdId): Promise<{ tenure_id: TenureId }[]> {
    return tx
      .withTables<RegistryTables>()
      .selectFrom('registry.tenure')
      .select('tenure_id')
      .where('household_id', '=', householdId)
      .where('ended_hour', 'is', null)
      .orderBy('device_id')
      .execute()
  }

  async function destroyPast(tx: Tx, householdId: HouseholdId): Promise<void> {
    const rows = await tx
      .withTables<RegistryTables>()
      .selectFrom('registry.tenure as tenure')
      .select(TENURE_COLUMNS)
      .where('tenure.household_id', '=', householdId)
      .where('tenure.ended_hour', 'is not', null)
      .where('tenure.history', '=', 'kept')
      .orderBy('tenure.tenure_id')
      .forUpdate()
      .execute()
    for (const row of rows) await endings.destroyHistory(tx, toTenure(row))
  }

  return {
    async endHousehold(tx, householdId) {
      const changes: TenureChange[] = []
      for (const { tenure_id: tenureId } of await current(tx, householdId)) {
        const tenure = await lockCurrentTenure(tx, tenureId)
        if (tenure) changes.push(await endings.endTenure(tx, tenure, { how: 'erased', history: 'destroyed' }))
      }
      await destroyPast(tx, householdId)
      const tables = tx.withTables<RegistryTables>()
      for (const table of ['registry.household_log', 'registry.invitation', 'registry.member'] as const) {
        await tables.deleteFrom(table).where('household_id', '=', householdId).execute()
      }
      const { key_id: keyId } = await tables
        .updateTable('registry.household')
        .set({ name: Buffer.alloc(0) })
        .where('household_id', '=', householdId)
        .returning('key_id')
        .executeTakeFirstOrThrow()
      // Last: until here the ends are still written under it.
      await keys.destroy(tx, keyId as KeyId)
      return changes
    },
  }
}
