import { type AccountId, AppError, type Database, type Tx } from '../core/index.ts'
import type { Vault } from '../vault/index.ts'
import type { Accounts } from './accounts.ts'
import { sorted } from './enrolment.ts'
import type { Identity, OperatorRole } from './face.ts'

/** Who the operators are and what each may do. Which routes a role opens is the API's table. */
export function createOperators(o: {
  database: Database
  vault: Vault
  accounts: Accounts
}): Identity['operators'] {
  /** @throws AppError not_found; conflict when nobody would be left who can change roles */
  async function checkOfficerStays(tx: Tx, accountId: AccountId, roles: OperatorRole[]): Promise<void> {
    // Locked: of two officers who remove each other at once, the second sees that the first is gone.
    const all = await o.accounts.lockOperators(tx)
    if (!all.some((operator) => operator.accountId === accountId)) throw new AppError('not_found')
    const after = all.map((operator) =>
      operator.accountId === accountId ? { ...operator, roles } : operator,
    )
    if (!after.some((operator) => operator.hasPasskey && operator.roles.includes('security'))) {
      throw new AppError('conflict', { message: 'The last security officer stays: make another one first.' })
    }
  }
  return {
    async list() {
      const found = await o.accounts.operators()
      return await Promise.all(
        found.map(async ({ accountId, roles }) => ({ accountId, roles, ...(await o.vault.read(accountId)) })),
      )
    },
    setRoles: (accountId, roles) =>
      o.database.transaction(async (tx) => {
        await checkOfficerStays(tx, accountId, roles)
        await o.accounts.setRoles(tx, accountId, sorted(roles))
      }),
    remove: (accountId) =>
      o.database.transaction(async (tx) => {
        await checkOfficerStays(tx, accountId, [])
        await o.accounts.remove(tx, accountId)
        await o.vault.erase(tx, accountId)
      }),
  }
}
