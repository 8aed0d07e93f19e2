import { sql } from 'kysely'
import { type AccountId, AppError, type Database, type HouseholdId, newId, Personal } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import type { Household, MemberRole } from './face.ts'
import { checkName, padName, unpadName } from './names.ts'
import { mayActInHousehold } from './standing.ts'
import type { RegistryTables } from './tables.ts'

/** More than anybody needs; a bound, because everybody may sign up. */
const MAX_HOUSEHOLDS = 20

export interface Households {
  create(accountId: AccountId, household: { name: Personal }): Promise<Household>
  all(accountId: AccountId): Promise<Household[]>
  get(accountId: AccountId, householdId: HouseholdId): Promise<Household>
}

const namePlace = (id: HouseholdId) => place('registry.household.name', id)

export function createHouseholds({ database, keys }: { database: Database; keys: Keys }): Households {
  const memberships = (accountId: AccountId) =>
    database.queries
      .withTables<RegistryTables>()
      .selectFrom('registry.member as member')
      .innerJoin('registry.household as household', 'household.household_id', 'member.household_id')
      .select(['household.household_id', 'household.key_id', 'household.name', 'member.role'])
      .where('member.account_id', '=', accountId)

  async function open(row: {
    household_id: HouseholdId
    key_id: Parameters<Keys['open']>[0]
    name: Buffer
    role: MemberRole
  }): Promise<Household> {
    const key = await keys.open(row.key_id)
    const name = unpadName(key.unseal(namePlace(row.household_id), row.name))
    return { householdId: row.household_id, name, role: row.role }
  }

  return {
    async create(accountId, { name }) {
      const text = checkName('The name of a household', name)
      const householdId = newId<HouseholdId>()
      await database.transaction(async (tx) => {
        const tables = tx.withTables<RegistryTables>()
        // One account's requests take turns: many at once would all count the same few.
        await sql`select pg_advisory_xact_lock(hashtextextended('registry.household/' || ${accountId}, 0))`.execute(
          tx,
        )
        const { count } = await tables
          .selectFrom('registry.member')
          .select((eb) => eb.fn.countAll<number>().as('count'))
          .where('account_id', '=', accountId)
          .executeTakeFirstOrThrow()
        if (count >= MAX_HOUSEHOLDS) {
          throw new AppError('conflict', { message: `An account has at most ${MAX_HOUSEHOLDS} households.` })
        }
        const keyId = await keys.create(tx, { kind: 'household', subject: householdId })
        const key = await keys.open(keyId, tx)
        await tables
          .insertInto('registry.household')
          .values({
            household_id: householdId,
            key_id: keyId,
            name: key.seal(namePlace(householdId), padName(text)),
          })
          .execute()
        await tables
          .insertInto('registry.member')
          .values({ household_id: householdId, account_id: accountId, role: 'owner', terms: null })
          .execute()
      })
      return { householdId, name: new Personal(text), role: 'owner' }
    },

    async all(accountId) {
      const rows = await memberships(accountId).orderBy('household.household_id').execute()
      return Promise.all(
        rows.filter((row) => mayActInHousehold({ role: row.role, heldBack: false }, 'view')).map(open),
      )
    },

    async get(accountId, householdId) {
      const row = await memberships(accountId)
        .where('household.household_id', '=', householdId)
        .executeTakeFirst()
      if (!row || !mayActInHousehold({ role: row.role, heldBack: false }, 'view'))
        throw new AppError('not_found')
      return open(row)
    },
  }
}
