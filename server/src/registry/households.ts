import { sql } from 'kysely'
import {
  type AccountId,
  AppError,
  type Clock,
  type Database,
  type HouseholdId,
  newId,
  Personal,
  type Tx,
} from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import type { Household } from './face.ts'
import type { HouseholdLog } from './household-log.ts'
import type { Memberships } from './memberships.ts'
import { checkName, padName, unpadName } from './names.ts'
import { maySeeHousehold } from './standing.ts'
import type { RegistryTables } from './tables.ts'

/** More than anybody needs; a bound, because everybody may sign up. */
const MAX_HOUSEHOLDS = 20

export interface Households {
  create(accountId: AccountId, household: { name: Personal }): Promise<Household>
  all(accountId: AccountId): Promise<Household[]>
  get(accountId: AccountId, householdId: HouseholdId): Promise<Household>
}

export interface HouseholdsOptions {
  database: Database
  keys: Keys
  clock: Clock
  memberships: Memberships
  householdLog: HouseholdLog
}

const namePlace = (id: HouseholdId) => place('registry.household.name', id)

/**
 * One account's entries into households, and its erasure, take turns until the transaction ends. The first of the locks,
 * before any household's.
 */
export async function lockAccount(tx: Tx, accountId: AccountId): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended('registry.household/' || ${accountId}, 0))`.execute(
    tx,
  )
}

/**
 * Under the account's lock: many entries at once would all count the same few.
 * @throws AppError conflict when the account is in as many as it may be; not_found when it was erased meanwhile
 */
export async function roomForAnother(tx: Tx, accountId: AccountId): Promise<void> {
  await lockAccount(tx, accountId)
  const tables = tx.withTables<RegistryTables>()
  const { count } = await tables
    .selectFrom('registry.member')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('account_id', '=', accountId)
    .executeTakeFirstOrThrow()
  if (count >= MAX_HOUSEHOLDS) {
    throw new AppError('conflict', { message: `An account has at most ${MAX_HOUSEHOLDS} households.` })
  }
  const erased = await tables
    .selectFrom('registry.erased_account')
    .select('account_id')
    .where('account_id', '=', accountId)
    .executeTakeFirst()
  if (erased) throw new AppError('not_found')
}

export function createHouseholds(options: HouseholdsOptions): Households {
  const { database, keys, clock, memberships, householdLog } = options

  /** The household as this account sees it; undefined when it does not. */
  async function seen(accountId: AccountId, householdId: HouseholdId): Promise<Household | undefined> {
    const member = await memberships.of({ accountId, householdId })
    if (!member.role || !member.householdKeyId || !maySeeHousehold(member, clock.nowMs())) return undefined
    const row = await database.queries
      .withTables<RegistryTables>()
      .selectFrom('registry.household')
      .select('name')
      .where('household_id', '=', householdId)
      .executeTakeFirst()
    if (!row) return undefined
    const key = await keys.open(member.householdKeyId)
    return {
      householdId,
      name: unpadName(key.unseal(namePlace(householdId), row.name)),
      role: member.role,
      ...(member.schedule ? { schedule: member.schedule } : {}),
    }
  }

  return {
    async create(accountId, { name }) {
      const text = checkName('The name of a household', name)
      const householdId = newId<HouseholdId>()
      await database.transaction(async (tx) => {
        const tables = tx.withTables<RegistryTables>()
        await roomForAnother(tx, accountId)
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
        await householdLog.append(tx, householdId, { kind: 'founded', by: accountId })
      })
      return { householdId, name: new Personal(text), role: 'owner' }
    },

    async all(accountId) {
      const rows = await database.queries
        .withTables<RegistryTables>()
        .selectFrom('registry.member')
        .select('household_id')
        .where('account_id', '=', accountId)
        .orderBy('household_id')
        .execute()
      const found = await Promise.all(rows.map((row) => seen(accountId, row.household_id)))
      return found.filter((household) => household !== undefined)
    },

    async get(accountId, householdId) {
      const household = await seen(accountId, householdId)
      if (!household) throw new AppError('not_found')
      return household
    },
  }
}
