import { randomUUID } from 'node:crypto'
import { type AccountId, AppError, type Clock, type Database, Personal, type Tx } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import { evenLength } from './even-length.ts'
import type { PasskeyView } from './face.ts'
import type { IdentityTables } from './tables.ts'
import type { Credential } from './webauthn.ts'

export interface StoredPasskey {
  passkeyId: string
  accountId: AccountId
  credential: Credential
  addedAtMs: number
}

/** The table of passkeys, and its rules: how many, which is the last, whether one was copied. */
export interface Passkeys {
  find(credentialId: string): Promise<StoredPasskey | undefined>
  /** @throws AppError conflict: this very passkey is there already, or there are too many */
  add(tx: Tx, accountId: AccountId, credential: Credential, name: Personal): Promise<void>
  /**
   * Takes the counter of a sign-in (WebAuthn section 6.1.1). `copied` when it did not grow: two hold this key.
   * @throws AppError not_found when the passkey was removed meanwhile
   */
  used(passkeyId: string, counter: number): Promise<'fine' | 'copied'>
  credentials(accountId: AccountId): Promise<Credential[]>
  list(accountId: AccountId): Promise<PasskeyView[]>
  /** @throws AppError not_found */
  rename(accountId: AccountId, passkeyId: string, name: Personal): Promise<void>
  /** @throws AppError not_found; conflict when the account would be left without a way in */
  remove(accountId: AccountId, passkeyId: string): Promise<void>
  /** Those that were added at that time or later. The caller holds the lock on the account's row. */
  removeSince(tx: Tx, accountId: AccountId, sinceMs: number): Promise<void>
  count(accountId: AccountId, tx?: Tx): Promise<number>
}

interface Sealed {
  credential: Credential
  name: string
  addedAtMs: number
  usedAtMs?: number
}

const MAX_PER_ACCOUNT = 20
const STEP = 512

export function createPasskeys(o: { database: Database; keys: Keys; clock: Clock }): Passkeys {
  const digesting = o.keys.purpose('identity.passkey.digest')
  const sealing = o.keys.purpose('identity.passkey.seal')
  const rows = (tx?: Tx) => (tx ?? o.database.queries).withTables<IdentityTables>()
  const where = (passkeyId: string, accountId: AccountId) => place('identity.passkey', passkeyId, accountId)

  function seal(passkeyId: string, accountId: AccountId, content: Sealed): Buffer {
    return sealing.seal(where(passkeyId, accountId), evenLength(content, STEP))
  }
  function open(row: { passkey_id: string; account_id: AccountId; sealed: Buffer }): Sealed {
    return JSON.parse(sealing.unseal(where(row.passkey_id, row.account_id), row.sealed).toString())
  }

  /** Locks the account: of two changes at once the second sees what the first left. */
  async function lockAccount(tx: Tx, accountId: AccountId) {
    const account = await rows(tx)
      .selectFrom('identity.account')
      .select('sealed_password')
      .where('account_id', '=', accountId)
      .forUpdate()
      .executeTakeFirst()
    if (!account) throw new AppError('not_found')
    return account
  }
  async function ofAccount(accountId: AccountId, tx?: Tx) {
    return await rows(tx)
      .selectFrom('identity.passkey')
      .selectAll()
      .where('account_id', '=', accountId)
      .execute()
  }
  /** Reads, changes and writes one row under a lock. */
  async function change<T>(
    which: { passkeyId: string; accountId?: AccountId },
    by: (content: Sealed) => { content: Sealed; result: T },
  ): Promise<T> {
    return await o.database.transaction(async (tx) => {
      let query = rows(tx)
        .selectFrom('identity.passkey')
        .selectAll()
        .where('passkey_id', '=', which.passkeyId)
      if (which.accountId) query = query.where('account_id', '=', which.accountId)
      const row = await query.forUpdate().executeTakeFirst()
      if (!row) throw new AppError('not_found')
      const { content, result } = by(open(row))
      await rows(tx)
        .updateTable('identity.passkey')
        .set({ sealed: seal(row.passkey_id, row.account_id, content) })
        .where('passkey_id', '=', row.passkey_id)
        .execute()
      return result
    })
  }

  return {
    async find(credentialId) {
      const row = await rows()
        .selectFrom('identity.passkey')
        .selectAll()
        .where('credential_digest', 'in', digesting.digests(credentialId))
        .executeTakeFirst()
      if (!row) return undefined
      const { credential, addedAtMs } = open(row)
      return { passkeyId: row.passkey_id, accountId: row.account_id, credential, addedAtMs }
    },

    async add(tx, accountId, credential, name) {
      await lockAccount(tx, accountId)
      const present = await ofAccount(accountId, tx)
      if (present.length >= MAX_PER_ACCOUNT) {
        throw new AppError('conflict', {
          message: 'There are too many passkeys. Remove one that is not used any more.',
        })
      }
      const digests = digesting.digests(credential.id)
      const taken = await rows(tx)
        .selectFrom('identity.passkey')
        .select('passkey_id')
        .where('credential_digest', 'in', digests)
        .executeTakeFirst()
      if (taken) throw alreadyThere()
      const passkeyId = randomUUID()
      const content = { credential, name: name.reveal(), addedAtMs: o.clock.nowMs() }
      const written = await rows(tx)
        .insertInto('identity.passkey')
        .values({
          passkey_id: passkeyId,
          account_id: accountId,
          credential_digest: digests[0] as Buffer,
          sealed: seal(passkeyId, accountId, content),
        })
        .onConflict((conflict) => conflict.column('credential_digest').doNothing())
        .returning('passkey_id')
        .executeTakeFirst()
      if (!written) throw alreadyThere()
    },

    used: (passkeyId, counter) =>
      change({ passkeyId }, (content) => {
        const before = content.credential.counter
        // An authenticator that does not count says 0 for ever.
        if ((before > 0 || counter > 0) && counter <= before) return { content, result: 'copied' }
        const credential = { ...content.credential, counter }
        return { content: { ...content, credential, usedAtMs: o.clock.nowMs() }, result: 'fine' }
      }),

    credentials: async (accountId) => (await ofAccount(accountId)).map((row) => open(row).credential),

    async list(accountId) {
      const all = (await ofAccount(accountId)).map((row) => ({ ...open(row), passkeyId: row.passkey_id }))
      return all
        .sort((a, b) => a.addedAtMs - b.addedAtMs)
        .map(({ passkeyId, name, addedAtMs, usedAtMs, credential: { synced } }) => ({
          passkeyId,
          name: new Personal(name),
          synced,
          addedAtMs,
          ...(usedAtMs === undefined ? {} : { usedAtMs }),
        }))
    },

    rename: (accountId, passkeyId, name) =>
      change({ accountId, passkeyId }, (content) => ({
        content: { ...content, name: name.reveal() },
        result: undefined,
      })),

    async remove(accountId, passkeyId) {
      await o.database.transaction(async (tx) => {
        const { sealed_password } = await lockAccount(tx, accountId)
        const present = await ofAccount(accountId, tx)
        if (!present.some((row) => row.passkey_id === passkeyId)) throw new AppError('not_found')
        if (present.length === 1 && !sealed_password) {
          throw new AppError('conflict', {
            message:
              'This passkey is the only way into the account. Add another one first, or set a password.',
          })
        }
        await rows(tx).deleteFrom('identity.passkey').where('passkey_id', '=', passkeyId).execute()
      })
    },

    async removeSince(tx, accountId, sinceMs) {
      const added = (await ofAccount(accountId, tx)).filter((row) => open(row).addedAtMs >= sinceMs)
      for (const { passkey_id } of added) {
        await rows(tx).deleteFrom('identity.passkey').where('passkey_id', '=', passkey_id).execute()
      }
    },

    async count(accountId, tx) {
      return (await ofAccount(accountId, tx)).length
    },
  }
}

function alreadyThere(): AppError {
  return new AppError('conflict', { message: 'This passkey has been added already.' })
}
