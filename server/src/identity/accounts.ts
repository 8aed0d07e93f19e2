import type { AccountId, Database, Tx } from '../core/index.ts'
import type { AccountKind, OperatorRole } from './face.ts'
import type { IdentityTables } from './tables.ts'

export interface Account {
  accountId: AccountId
  kind: AccountKind
  roles: OperatorRole[]
}

export interface StoredAccount extends Account {
  /** Absent: this account has passkeys only. */
  sealedPassword: Buffer | undefined
}

export interface Accounts {
  add(tx: Tx, account: StoredAccount): Promise<void>
  find(accountId: AccountId): Promise<StoredAccount | undefined>
  setPassword(accountId: AccountId, sealedPassword: Buffer): Promise<void>
  anyOperator(tx?: Tx): Promise<boolean>
}

export function createAccounts({ database }: { database: Database }): Accounts {
  const tables = database.queries.withTables<IdentityTables>()
  return {
    async add(tx, { accountId, kind, roles, sealedPassword }) {
      await tx
        .withTables<IdentityTables>()
        .insertInto('identity.account')
        .values({ account_id: accountId, kind, roles, sealed_password: sealedPassword ?? null })
        .execute()
    },
    async find(accountId) {
      const row = await tables
        .selectFrom('identity.account')
        .selectAll()
        .where('account_id', '=', accountId)
        .executeTakeFirst()
      return (
        row && {
          accountId,
          kind: row.kind,
          roles: row.roles,
          sealedPassword: row.sealed_password ?? undefined,
        }
      )
    },
    async setPassword(accountId, sealedPassword) {
      await tables
        .updateTable('identity.account')
        .set({ sealed_password: sealedPassword })
        .where('account_id', '=', accountId)
        .execute()
    },
    async anyOperator(tx) {
      const row = await (tx?.withTables<IdentityTables>() ?? tables)
        .selectFrom('identity.account')
        .select('account_id')
        .where('kind', '=', 'operator')
        .limit(1)
        .executeTakeFirst()
      return row !== undefined
    },
  }
}
