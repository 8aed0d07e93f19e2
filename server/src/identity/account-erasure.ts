import { type AccountId, AppError, type Tx } from '../core/index.ts'
import type { AccountChanges } from './account-changes.ts'
import type { Accounts } from './accounts.ts'
import type { Identity } from './face.ts'
import type { Sessions } from './sessions.ts'
import type { IdentityTables } from './tables.ts'

/** Takes an account away with everything by which somebody could sign in to it. */
export function createAccountErasure(o: {
  accounts: Accounts
  sessions: Sessions
  changes: AccountChanges
}): Pick<Identity, 'eraseAccount'> {
  return {
    async eraseAccount(tx, accountId) {
      const tables = tx.withTables<IdentityTables>()
      if ((await o.accounts.find(accountId))?.kind === 'operator')
        await refuseLastSecurityOfficer(tx, accountId)
      // A sign-in that is being made shares a lock on this row: it is seen and ended here, or finds no account.
      const account = await tables
        .selectFrom('identity.account')
        .select('account_id')
        .where('account_id', '=', accountId)
        .forUpdate()
        .executeTakeFirst()
      if (!account) throw new AppError('not_found')
      await o.sessions.end(tx, accountId, () => true)
      for (const table of ['identity.mailed_code', 'identity.recovery', 'identity.notice'] as const) {
        await tables.deleteFrom(table).where('account_id', '=', accountId).execute()
      }
      // What refers to the account's row goes with it: passkeys, for one.
      await tables.deleteFrom('identity.account').where('account_id', '=', accountId).execute()
      return () => o.changes.sessions(accountId)
    },
  }
}

/** Their rows are locked in one order: of two who go at the same moment, the second is the last. */
async function refuseLastSecurityOfficer(tx: Tx, accountId: AccountId): Promise<void> {
  const officers = await tx
    .withTables<IdentityTables>()
    .selectFrom('identity.account')
    .select(['account_id', 'roles'])
    .where('kind', '=', 'operator')
    .orderBy('account_id')
    .forUpdate()
    .execute()
  const security = officers.filter(({ roles }) => roles.includes('security'))
  const [only, another] = security
  if (only?.account_id === accountId && !another) {
    throw new AppError('conflict', {
      message: 'The last security officer cannot go: nobody could let another operator in.',
    })
  }
}
