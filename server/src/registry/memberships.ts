import type { AccountId, Clock, Database, HouseholdId, KeyId, Tx } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import type { MemberRole } from './acts.ts'
import type { GuestSchedule } from './guest-schedule.ts'
import { parseJson } from './padded-json.ts'
import type { RegistryTables } from './tables.ts'

/** What an account is in a household at one moment. All is absent for a stranger, and for a household that is not. */
export interface Membership {
  role: MemberRole | undefined
  /** A guest's times. */
  schedule: GuestSchedule | undefined
  /** The account was recovered a short while ago. */
  heldBack: boolean
  householdKeyId: KeyId | undefined
}

export interface Memberships {
  /** Within `tx` the household's row is locked: what is read holds until the commit. */
  of(who: { accountId: AccountId; householdId: HouseholdId }, tx?: Tx): Promise<Membership>
}

/** Where a guest's schedule stands, sealed under the household's key. */
export const schedulePlace = (householdId: HouseholdId, accountId: AccountId) =>
  place('registry.member.terms', householdId, accountId)

export function createMemberships(d: { database: Database; keys: Keys; clock: Clock }): Memberships {
  return {
    async of({ accountId, householdId }, tx) {
      const queries = (tx ?? d.database.queries).withTables<RegistryTables>()
      // In a statement of its own: the next one sees what was committed while this one waited.
      if (tx) await lockHousehold(tx, householdId)
      const row = await queries
        .selectFrom('registry.household as household')
        .innerJoin('registry.member as member', 'member.household_id', 'household.household_id')
        .select(['household.key_id', 'member.role', 'member.terms'])
        .select((eb) =>
          eb
            .exists(
              eb
                .selectFrom('registry.hold as hold')
                .select('hold.account_id')
                .where('hold.account_id', '=', accountId)
                .where('hold.until_hour', '>', new Date(d.clock.nowMs())),
            )
            .as('held_back'),
        )
        .where('household.household_id', '=', householdId)
        .where('member.account_id', '=', accountId)
        .executeTakeFirst()
      const schedule =
        row?.terms &&
        parseJson<GuestSchedule>(
          (await d.keys.open(row.key_id, tx)).unseal(schedulePlace(householdId, accountId), row.terms),
        )
      return {
        role: row?.role,
        schedule: schedule ?? undefined,
        heldBack: row?.held_back === true,
        householdKeyId: row?.key_id,
      }
    },
  }
}

/** The first of the locks that a change of a household takes; devices come after it. */
export async function lockHousehold(tx: Tx, householdId: HouseholdId): Promise<void> {
  await tx
    .withTables<RegistryTables>()
    .selectFrom('registry.household')
    .select('household_id')
    .where('household_id', '=', householdId)
    .forUpdate()
    .execute()
}
