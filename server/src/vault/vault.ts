import { sql } from 'kysely'
import {
  type AccountId,
  AppError,
  type Clock,
  type Database,
  type KeyId,
  type Log,
  Personal,
  recordFields,
  type Tx,
} from '../core/index.ts'
import { type Keys, place, type SealingKey } from '../keys/index.ts'
import { checkEmail, checkName, normaliseEmail, tidy } from './email.ts'
import { pad, unpad } from './padding.ts'

export type PersonKind = 'customer' | 'operator'

type VaultTables = {
  'vault.person': {
    account_id: AccountId
    kind: PersonKind
    key_id: KeyId
    email_index: Buffer
    email: Buffer
    name: Buffer
    created_hour: Date
  }
}

export interface PersonExport {
  accountId: AccountId
  kind: PersonKind
  email: Personal
  name: Personal
  /** To the hour: nothing finer is kept. */
  createdHourMs: number
}

export const personFields = recordFields<PersonExport>('Person', {
  accountId: 'identifying',
  kind: 'personal',
  email: 'identifying',
  name: 'identifying',
  createdHourMs: 'personal',
})

export interface VaultOptions {
  database: Database
  keys: Keys
  clock: Clock
  log: Log
}

/** People's e-mail addresses and names, each person's sealed under a key of their own. */
export interface Vault {
  /**
   * Writes the same rows whether the address is new or taken, and takes them back when it is: a sign-up shall not
   * tell by its time who has an account. An address is taken within its kind only.
   * @throws AppError invalid_request when the e-mail or the name is none
   */
  add(
    tx: Tx,
    person: { accountId: AccountId; kind: PersonKind; email: Personal; name: Personal },
  ): Promise<'added' | 'taken'>
  /**
   * Another address in the place of the one before; nothing is changed when somebody of the kind has it.
   * @throws AppError invalid_request, not_found
   */
  changeEmail(tx: Tx, accountId: AccountId, email: Personal): Promise<'changed' | 'taken'>
  /** Unknown, or no address at all: undefined alike. */
  findByEmail(kind: PersonKind, email: Personal): Promise<AccountId | undefined>
  /** @throws AppError not_found; integrity_failed when the row was tampered with */
  read(accountId: AccountId): Promise<{ email: Personal; name: Personal }>
  /** All that the vault knows of a person. @throws AppError not_found */
  export(accountId: AccountId): Promise<PersonExport>
  /** Destroys the account's key, and the row. @throws AppError not_found */
  erase(tx: Tx, accountId: AccountId): Promise<void>
  /** @throws AppError invalid_request when it is no address that one can write to */
  checkEmail(email: Personal): void
  /** @throws AppError invalid_request when it is empty, longer than 254 bytes, or not printable */
  checkName(name: Personal): void
}

/** PostgreSQL's SQLSTATE. */
const UNIQUE_VIOLATION = '23505'

const emailPlace = (accountId: AccountId) => place('vault.person.email', accountId)
const namePlace = (accountId: AccountId) => place('vault.person.name', accountId)

export function createVault({ database, keys, clock }: VaultOptions): Vault {
  const index = keys.purpose('vault.email')
  const people = database.queries.withTables<VaultTables>()

  const indexed = (kind: PersonKind, email: Personal) => place(kind, normaliseEmail(email.reveal()))

  async function load(accountId: AccountId) {
    const row = await people
      .selectFrom('vault.person')
      .selectAll()
      .where('account_id', '=', accountId)
      .executeTakeFirst()
    if (!row) throw new AppError('not_found')
    return row
  }

  async function reveal(accountId: AccountId): Promise<PersonExport> {
    const row = await load(accountId)
    const key = await keys.open(row.key_id)
    const email = new Personal(unpad(key.unseal(emailPlace(accountId), row.email)))
    const name = new Personal(unpad(key.unseal(namePlace(accountId), row.name)))
    await reindex(accountId, row.email_index, index.digest(indexed(row.kind, email)))
    return { accountId, kind: row.kind, email, name, createdHourMs: row.created_hour.getTime() }
  }

  /**
   * After a new root key version, row by row as people come. Not in `findByEmail`: there only a known address would
   * cost a write.
   */
  async function reindex(accountId: AccountId, present: Buffer, newest: Buffer): Promise<void> {
    if (present.equals(newest)) return
    await sql`
      update vault.person p set email_index = ${newest}
      where account_id = ${accountId} and email_index = ${present}
        and not exists (select from vault.person where kind = p.kind and email_index = ${newest})`.execute(
      people,
    )
  }

  async function insert(
    tx: Tx,
    o: { accountId: AccountId; kind: PersonKind; email: Personal; name: Personal },
    digests: Buffer[],
  ): Promise<boolean> {
    const keyId = await keys.create(tx, { kind: 'account', subject: o.accountId })
    const key: SealingKey = await keys.open(keyId, tx)
    const email = key.seal(emailPlace(o.accountId), pad(tidy(o.email.reveal())))
    const name = key.seal(namePlace(o.accountId), pad(tidy(o.name.reveal())))
    const hour = clock.nowMs() - (clock.nowMs() % 3_600_000)
    // A row that has not been read since the root key's last version still stands under an older digest.
    const { rows } = await sql`
      insert into vault.person (account_id, kind, key_id, email_index, email, name, created_hour)
      select ${o.accountId}::uuid, ${o.kind}::text, ${keyId}::uuid, ${digests[0]}::bytea, ${email}::bytea, ${name}::bytea,
        ${new Date(hour)}::timestamptz
      where not exists (
        select from vault.person where kind = ${o.kind} and email_index = any(${digests}::bytea[]))
      on conflict (kind, email_index) do nothing
      returning account_id`.execute(tx)
    return rows.length === 1
  }

  return {
    checkEmail,
    checkName,

    async add(tx, person) {
      checkEmail(person.email)
      checkName(person.name)
      const digests = index.digests(indexed(person.kind, person.email))
      await sql`savepoint vault_add`.execute(tx)
      const added = await insert(tx, person, digests)
      await (added ? sql`release savepoint vault_add` : sql`rollback to savepoint vault_add`).execute(tx)
      return added ? 'added' : 'taken'
    },

    async changeEmail(tx, accountId, email) {
      checkEmail(email)
      const row = await load(accountId)
      const key = await keys.open(row.key_id)
      const digests = index.digests(indexed(row.kind, email))
      const sealed = key.seal(emailPlace(accountId), pad(tidy(email.reveal())))
      await sql`savepoint vault_change`.execute(tx)
      try {
        const { rows } = await sql`
          update vault.person set email_index = ${digests[0]}, email = ${sealed}
          where account_id = ${accountId} and not exists (
            select from vault.person
            where kind = ${row.kind} and email_index = any(${digests}::bytea[]) and account_id <> ${accountId})
          returning account_id`.execute(tx)
        return rows.length === 1 ? 'changed' : 'taken'
      } catch (error) {
        // Two take one address at the same moment: the index lets one.
        if ((error as { code?: string }).code !== UNIQUE_VIOLATION) throw error
        await sql`rollback to savepoint vault_change`.execute(tx)
        return 'taken'
      }
    },

    async findByEmail(kind, email) {
      const row = await people
        .selectFrom('vault.person')
        .select('account_id')
        .where('kind', '=', kind)
        .where('email_index', 'in', index.digests(indexed(kind, email)))
        .executeTakeFirst()
      return row?.account_id
    },

    async read(accountId) {
      const { email, name } = await reveal(accountId)
      return { email, name }
    },

    export: reveal,

    async erase(tx, accountId) {
      const row = await tx
        .withTables<VaultTables>()
        .deleteFrom('vault.person')
        .where('account_id', '=', accountId)
        .returning('key_id')
        .executeTakeFirst()
      if (!row) throw new AppError('not_found')
      await keys.destroy(tx, row.key_id)
    },
  }
}
