import { type AccountId, AppError, type Tx } from '../core/index.ts'
import type { Vault } from '../vault/index.ts'
import type { AccountChanges } from './account-changes.ts'
import type { Accounts } from './accounts.ts'
import type { Sessions } from './sessions.ts'
import type { SignUps } from './sign-ups.ts'
import type { IdentityTables } from './tables.ts'

export interface AccountRemoval {
  /**
   * Takes an account away with everything by which somebody could sign in to it.
   * @returns what to call after the commit
   * @throws AppError not_found; conflict for the last security officer
   */
  remove(tx: Tx, accountId: AccountId): Promise<() => void>
}

export function createAccountRemoval(o: {
  vault: Pick<Vault, 'read'>
  accounts: Accounts
  sessions: Sessions
  signUps: SignUps
  changes: AccountChanges
}): AccountRemoval {
  return {
    async remove(tx, accountId) {
      const tables = tx.withTables<IdentityTables>()
      if ((await o.accounts.find(accountId))?.kind === 'operator') {
        await checkOfficerStays(tx, o.accounts, accountId, [])
      }
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
      // Sealed under no key of theirs: it has to go by itself.
      await o.signUps.removeOf(tx, (await o.vault.read(accountId)).email)
      // What refers to the account's row goes with it: passkeys, for one.
      await o.accounts.remove(tx, accountId)
      return () => o.changes.sessions(accountId)
    },
  }
}

/**
 * What `accountId` may become, with these roles or gone.
 * @throws AppError not_found; conflict when nobody would be left who can change roles
 */
export async function checkOfficerStays(
  tx: Tx,
  accounts: Pick<Accounts, 'lockOperators'>,
  accountId: AccountId,
  roles: readonly string[],
): Promise<void> {
  // Locked: of two officers who remove each other at once, the second sees that the first is gone.
  const all = await accounts.lockOperators(tx)
  if (!all.some((operator) => operator.accountId === accountId)) throw new AppError('not_found')
  const stays = all.some(
    (operator) =>
      operator.hasPasskey && (operator.accountId === accountId ? roles : operator.roles).includes('security'),
  )
  if (!stays) {
    throw new AppError('conflict', { message: 'The last security officer stays: make another one first.' })
  }
}
