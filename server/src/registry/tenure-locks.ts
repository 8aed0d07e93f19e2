import type { HouseholdId, TenureId, Tx } from '../core/index.ts'
import type { Tenure } from './face.ts'
import type { RegistryTables } from './tables.ts'
import { TENURE_COLUMNS, toTenure } from './tenure-row.ts'

// What is locked, in this order always, so that no two transactions wait for each other: households by their ids, the
// device, its tenure (one that has ended needs no device's lock). Rooms that keep things on a tenure lock theirs after these.

export async function lockHouseholds(tx: Tx, householdIds: readonly HouseholdId[]): Promise<void> {
  await tx
    .withTables<RegistryTables>()
    .selectFrom('registry.household')
    .select('household_id')
    .where('household_id', 'in', [...householdIds])
    .orderBy('household_id')
    .forUpdate()
    .execute()
}

/** The tenure with its device, when it still holds: neither changes until the commit. */
export async function lockCurrentTenure(tx: Tx, tenureId: TenureId): Promise<Tenure | undefined> {
  const row = await tx
    .withTables<RegistryTables>()
    .selectFrom('registry.device as device')
    .innerJoin('registry.tenure as tenure', 'tenure.device_id', 'device.device_id')
    .select(TENURE_COLUMNS)
    .where('tenure.tenure_id', '=', tenureId)
    .where('tenure.ended_hour', 'is', null)
    .forUpdate()
    .executeTakeFirst()
  return row && toTenure(row)
}
