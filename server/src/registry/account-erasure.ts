import { type AccountId, AppError, type Clock, type HouseholdId, type Tx } from '../core/index.ts'
import type { AccessGrants } from './access-grants.ts'
import type { Changes } from './changes.ts'
import type { TenureChange } from './face.ts'
import type { HouseholdEndings } from './household-endings.ts'
import type { HouseholdLog } from './household-log.ts'
import { lockAccount } from './households.ts'
import { endMembership } from './members.ts'
import { forgetInHistory } from './membership-history.ts'
import type { People } from './people-face.ts'
import type { RegistryTables } from './tables.ts'
import { lockHouseholds } from './tenure-locks.ts'

export type AccountErasure = Pick<People, 'eraseAccount'>

export interface AccountErasureOptions {
  clock: Clock
  grants: AccessGrants
  householdEndings: HouseholdEndings
  householdLog: HouseholdLog
  changes: Changes
  support: Pick<People, 'endOperator'>
}

/** Erasures are remembered for this long, for requests that were under way. */
const REMEMBERED_MS = 24 * 3_600_000

export function createAccountErasure(d: AccountErasureOptions): AccountErasure {
  /** Memberships that can't change until the commit: the account's own lock first, then the households'. */
  async function lockMemberships(tx: Tx, accountId: AccountId) {
    const tables = tx.withTables<RegistryTables>()
    await lockAccount(tx, accountId)
    const own = tables
      .selectFrom('registry.member')
      .select(['household_id', 'role'])
      .where('account_id', '=', accountId)
      .orderBy('household_id')
    const before = await own.execute()
    if (before.length === 0) return []
    await lockHouseholds(
      tx,
      before.map((row) => row.household_id),
    )
    // Again: somebody may have removed it, or handed over to it, while this waited.
    return own.execute()
  }

  async function isOnlyOwner(tx: Tx, householdId: HouseholdId, accountId: AccountId): Promise<boolean> {
    const owners = await tx
      .withTables<RegistryTables>()
      .selectFrom('registry.member')
      .select('account_id')
      .where('household_id', '=', householdId)
      .where('role', '=', 'owner')
      .execute()
    return owners.length === 1 && owners[0]?.account_id === accountId
  }

  async function makeOwner(tx: Tx, householdId: HouseholdId, by: AccountId, to: AccountId): Promise<void> {
    const { numUpdatedRows } = await tx
      .withTables<RegistryTables>()
      .updateTable('registry.member')
      .set({ role: 'owner' })
      .where('household_id', '=', householdId)
      .where('account_id', '=', to)
      .where('role', '=', 'adult')
      .executeTakeFirst()
    if (numUpdatedRows !== 1n) {
      throw new AppError('conflict', { message: 'A household is handed over to one of its adults.' })
    }
    await d.householdLog.append(tx, householdId, { kind: 'handed_over', by, account: to, remains: 'adult' })
  }

  async function remember(tx: Tx, accountId: AccountId): Promise<void> {
    const tables = tx.withTables<RegistryTables>()
    const nowMs = d.clock.nowMs()
    await tables
      .deleteFrom('registry.erased_account')
      .where('erased_hour', '<', new Date(nowMs - REMEMBERED_MS))
      .execute()
    const erased_hour = new Date(nowMs - (nowMs % 3_600_000))
    await tables
      .insertInto('registry.erased_account')
      .values({ account_id: accountId, erased_hour })
      .execute()
  }

  return {
    async eraseAccount(tx, accountId, wishes) {
      const changes: TenureChange[] = []
      const wishOf = new Map(wishes.map((wish) => [wish.householdId, wish]))
      const memberships = await lockMemberships(tx, accountId)
      for (const { household_id: householdId } of memberships) {
        const wish = wishOf.get(householdId)
        const alone = await isOnlyOwner(tx, householdId, accountId)
        if (alone !== (wish !== undefined)) throw unclear(alone)
        wishOf.delete(householdId)
        if (wish?.wish === 'end') {
          changes.push(...(await d.householdEndings.endHousehold(tx, householdId)))
          continue
        }
        if (wish) await makeOwner(tx, householdId, accountId, wish.to)
        await endMembership(tx, d.grants, { householdId, memberId: accountId })
        await d.householdLog.append(tx, householdId, { kind: 'account_erased', account: accountId })
      }
      if (wishOf.size > 0) throw unclear(false)
      // After the memberships have ended, which is written down there.
      await forgetInHistory(tx, accountId)
      await d.support.endOperator(tx, accountId)
      await tx
        .withTables<RegistryTables>()
        .deleteFrom('registry.hold')
        .where('account_id', '=', accountId)
        .execute()
      await remember(tx, accountId)
      return () => {
        for (const change of changes) d.changes.tenure(change)
        for (const { household_id: householdId } of memberships) d.changes.access({ householdId })
      }
    },
  }
}

function unclear(alone: boolean): AppError {
  return new AppError('conflict', {
    message: alone
      ? 'Say for each household that you own alone whether it ends, or to which adult it goes.'
      : 'A wish is about a household that you do not own alone.',
  })
}
