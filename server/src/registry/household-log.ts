import { sql } from 'kysely'
import {
  type AccountId,
  AppError,
  type Clock,
  type Database,
  type HouseholdId,
  type KeyId,
  type Tx,
} from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import { type HouseholdEvent, isTold, type LogEntry, type LogPage, type Notify } from './household-event.ts'
import type { Memberships } from './memberships.ts'
import { paddedJson, parseJson } from './padded-json.ts'
import { mayActInHousehold } from './standing.ts'
import type { RegistryTables } from './tables.ts'

export interface HouseholdLog {
  /**
   * Writes what happened, in the transaction in which it does, and has people told of it. Locks the household's row:
   * before any device's.
   */
  append(tx: Tx, householdId: HouseholdId, event: HouseholdEvent): Promise<void>
  /** For owners and adults. `limit` 1 to 200. @throws AppError not_found, invalid_request, integrity_failed */
  read(
    accountId: AccountId,
    householdId: HouseholdId,
    page: { before?: number | undefined; limit: number },
  ): Promise<LogPage>
}

/** Whom this is about is told by the code that worked. */
const NOT_TOLD: ReadonlySet<HouseholdEvent['kind']> = new Set(['support_given'] as const)

const MAX_PAGE = 200
/** Older entries go: a member who changes things for ever fills no disk. */
const MAX_ENTRIES = 10_000

const entryPlace = (householdId: HouseholdId, seq: number) =>
  place('registry.household_log', householdId, String(seq))

export function createHouseholdLog(d: {
  database: Database
  keys: Keys
  clock: Clock
  memberships: Memberships
  notify: Notify
}): HouseholdLog {
  async function nextPlace(tx: Tx, householdId: HouseholdId): Promise<{ seq: number; keyId: KeyId }> {
    const row = await tx
      .withTables<RegistryTables>()
      .updateTable('registry.household')
      .set({ log_seq: sql<number>`log_seq + 1` })
      .where('household_id', '=', householdId)
      .returning(['log_seq', 'key_id'])
      .executeTakeFirstOrThrow()
    return { seq: row.log_seq, keyId: row.key_id }
  }

  async function tell(tx: Tx, householdId: HouseholdId, event: HouseholdEvent): Promise<void> {
    const owners = await tx
      .withTables<RegistryTables>()
      .selectFrom('registry.member')
      .select('account_id')
      .where('household_id', '=', householdId)
      .where('role', '=', 'owner')
      .execute()
    const to = new Set(owners.map((owner) => owner.account_id))
    if (event.account !== undefined && !NOT_TOLD.has(event.kind)) to.add(event.account)
    await d.notify(tx, { about: 'household', to: [...to], householdId, event })
  }

  return {
    async append(tx, householdId, event) {
      const { seq, keyId } = await nextPlace(tx, householdId)
      const key = await d.keys.open(keyId, tx)
      const sealed = key.seal(entryPlace(householdId, seq), paddedJson({ atMs: d.clock.nowMs(), event }))
      const tables = tx.withTables<RegistryTables>()
      await tables
        .insertInto('registry.household_log')
        .values({ household_id: householdId, seq, sealed })
        .execute()
      await tables
        .deleteFrom('registry.household_log')
        .where('household_id', '=', householdId)
        .where('seq', '<=', seq - MAX_ENTRIES)
        .execute()
      if (isTold(event)) await tell(tx, householdId, event)
    },

    async read(accountId, householdId, { before, limit }) {
      const member = await d.memberships.of({ accountId, householdId })
      if (!member.householdKeyId || !mayActInHousehold(member, 'history', d.clock.nowMs())) {
        throw new AppError('not_found')
      }
      if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
        throw new AppError('invalid_request', { message: `limit must be from 1 to ${MAX_PAGE}.` })
      }
      let query = d.database.queries
        .withTables<RegistryTables>()
        .selectFrom('registry.household_log')
        .select(['seq', 'sealed'])
        .where('household_id', '=', householdId)
        .orderBy('seq', 'desc')
        .limit(limit + 1)
      if (before !== undefined) query = query.where('seq', '<', before)
      const rows = await query.execute()
      const key = await d.keys.open(member.householdKeyId)
      const entries = rows.slice(0, limit).map(({ seq, sealed }): LogEntry => {
        return { seq, ...parseJson<Omit<LogEntry, 'seq'>>(key.unseal(entryPlace(householdId, seq), sealed)) }
      })
      return rows.length > limit ? { entries, next: entries.at(-1)?.seq } : { entries }
    },
  }
}
