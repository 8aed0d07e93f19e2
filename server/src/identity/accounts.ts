import { sql } from 'kysely'
import { type AccountId, AppError, type Clock, type Database, type Tx } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
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

export interface AccountsOptions {
  database: Database
  keys: Keys
  clock: Clock
}

export interface Accounts {
  add(tx: Tx, account: StoredAccount): Promise<void>
  find(accountId: AccountId): Promise<StoredAccount | undefined>
  /** The same password, sealed anew; nothing when it has been replaced since it was read. */
  resealPassword(accountId: AccountId, o: { from: Buffer; to: Buffer }): Promise<void>
  /**
   * Sign-ins that have begun before now, but have no session yet, get none. Locks the account's row.
   * @returns the one that was there
   */
  replacePassword(
    tx: Tx,
    accountId: AccountId,
    sealedPassword: Buffer | undefined,
  ): Promise<Buffer | undefined>
  /** See `replacePassword`. Shares a lock on the row until the commit. */
  signInsFrom(tx: Tx, accountId: AccountId): Promise<number>
  setRoles(tx: Tx, accountId: AccountId, roles: OperatorRole[]): Promise<void>
  /** Its passkeys go with it, and with the account every sign-in of it. */
  remove(tx: Tx, accountId: AccountId): Promise<void>
  /** Somebody who can sign in as an operator: with a passkey. */
  anyOperator(tx?: Tx): Promise<boolean>
  operators(): Promise<Account[]>
  lockOperators(tx: Tx): Promise<(Account & { hasPasskey: boolean })[]>
}

export function createAccounts({ database, keys, clock }: AccountsOptions): Accounts {
  const sealing = keys.purpose('identity.account')
  const signInsPlace = (accountId: AccountId) => place('identity.account.sign_ins_from', accountId)
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
    async resealPassword(accountId, { from, to }) {
      await tables
        .updateTable('identity.account')
        .set({ sealed_password: to })
        .where('account_id', '=', accountId)
        .where('sealed_password', '=', from)
        .execute()
    },
    async replacePassword(tx, accountId, sealedPassword) {
      const now = String(clock.nowMs()).padStart(16, '0')
      const former = await tx
        .withTables<IdentityTables>()
        .selectFrom('identity.account')
        .select('sealed_password')
        .where('account_id', '=', accountId)
        .forUpdate()
        .executeTakeFirst()
      await tx
        .withTables<IdentityTables>()
        .updateTable('identity.account')
        .set({
          sealed_password: sealedPassword ?? null,
          sign_ins_from: sealing.seal(signInsPlace(accountId), now),
        })
        .where('account_id', '=', accountId)
        .execute()
      return former?.sealed_password ?? undefined
    },
    async signInsFrom(tx, accountId) {
      const row = await tx
        .withTables<IdentityTables>()
        .selectFrom('identity.account')
        .select('sign_ins_from')
        .where('account_id', '=', accountId)
        .forShare()
        .executeTakeFirst()
      if (!row) throw new AppError('sign_in_refused')
      const sealed = row.sign_ins_from
      return sealed ? Number(sealing.unseal(signInsPlace(accountId), sealed).toString()) : 0
    },
    async setRoles(tx, accountId, roles) {
      await tx
        .withTables<IdentityTables>()
        .updateTable('identity.account')
        .set({ roles })
        .where('account_id', '=', accountId)
        .execute()
    },
    async remove(tx, accountId) {
      await tx
        .withTables<IdentityTables>()
        .deleteFrom('identity.account')
        .where('account_id', '=', accountId)
        .execute()
    },
    async anyOperator(tx) {
      const row = await (tx?.withTables<IdentityTables>() ?? tables)
        .selectFrom('identity.account')
        .innerJoin('identity.passkey', 'identity.passkey.account_id', 'identity.account.account_id')
        .select('identity.account.account_id')
        .where('kind', '=', 'operator')
        .limit(1)
        .executeTakeFirst()
      return row !== undefined
    },
    async operators() {
      const rows = await tables
        .selectFrom('identity.account')
        .select(['account_id', 'kind', 'roles'])
        .where('kind', '=', 'operator')
        .execute()
      return rows.map(({ account_id, kind, roles }) => ({ accountId: account_id, kind, roles }))
    },
    async lockOperators(tx) {
      const { rows } = await sql<{ account_id: AccountId; roles: OperatorRole[]; has_passkey: boolean }>`
        select account_id, roles,
          exists (select from identity.passkey p where p.account_id = a.account_id) as has_passkey
        from identity.account a where kind = 'operator' order by account_id for update`.execute(tx)
      return rows.map(({ account_id, roles, has_passkey }) => ({
        accountId: account_id,
        kind: 'operator',
        roles,
        hasPasskey: has_passkey,
      }))
    },
  }
}
