import type { Database, RecordAct } from '../core/index.ts'
import type { Vault } from '../vault/index.ts'
import { type AccountRemoval, checkOfficerStays } from './account-removal.ts'
import type { Accounts } from './accounts.ts'
import { sorted } from './enrolment.ts'
import type { EndSupport, Identity } from './face.ts'

/** Who the operators are and what each may do. Which routes a role opens is the API's table. */
export function createOperators(o: {
  database: Database
  vault: Vault
  accounts: Accounts
  removal: AccountRemoval
  endSupport: EndSupport
  recordAct: RecordAct
}): Identity['operators'] {
  return {
    async list() {
      const found = await o.accounts.operators()
      return await Promise.all(
        found.map(async ({ accountId, roles }) => ({ accountId, roles, ...(await o.vault.read(accountId)) })),
      )
    },
    setRoles: (accountId, roles, by) =>
      o.database.transaction(async (tx) => {
        await checkOfficerStays(tx, o.accounts, accountId, roles)
        await o.accounts.setRoles(tx, accountId, sorted(roles))
        if (!roles.includes('support')) await o.endSupport(tx, accountId)
        const subject = { kind: 'operator', id: accountId }
        const details = { roles: sorted(roles) }
        await o.recordAct(tx, { actor: by, act: 'operators.roles_changed', subject, details })
      }),
    async remove(accountId, by) {
      const announce = await o.database.transaction(async (tx) => {
        // Of operators only: a customer goes by their own decision.
        await checkOfficerStays(tx, o.accounts, accountId, [])
        const removed = await o.removal.remove(tx, accountId)
        await o.endSupport(tx, accountId)
        await o.vault.erase(tx, accountId)
        const subject = { kind: 'operator', id: accountId }
        await o.recordAct(tx, { actor: by, act: 'operators.removed', subject })
        return removed
      })
      announce()
    },
  }
}
