import type { AccountId, Clock, Database, Tx } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import { evenLength } from './even-length.ts'
import type { IdentityTables } from './tables.ts'

const HOUR_MS = 3_600_000
/** How long locks and cameras do not obey after a recovery, unless a session from before confirms it. */
const WAITING_MS = 24 * HOUR_MS
/** How long a session from before may still say that it was somebody else. */
const DENIABLE_MS = 7 * 24 * HOUR_MS

/** What is sealed has one length, with and without a former password. */
const STEP = 1024

/** A recovery that nobody has confirmed or denied. */
export interface Recovery {
  /** Of the first, when there were several: a thief must not become older than his own recovery by recovering again. */
  atMs: number
  waitsUntilMs: number
  deniableUntilMs: number
  /** Sealed as it was in the account: shows that somebody held it before, and comes back when the recovery is denied. */
  formerPassword: Buffer | undefined
}

type Sealed = Omit<Recovery, 'formerPassword'> & { formerPassword?: string }

export interface Recoveries {
  /** The caller holds the lock on the account's row: two recoveries at a time take turns. */
  begin(tx: Tx, accountId: AccountId, replaced: Buffer | undefined): Promise<Recovery>
  /** The one that can still be denied. */
  find(accountId: AccountId): Promise<Recovery | undefined>
  /** @returns false when somebody else was quicker */
  end(tx: Tx, accountId: AccountId): Promise<boolean>
  sweep(): Promise<void>
}

export function createRecoveries(o: { database: Database; keys: Keys; clock: Clock }): Recoveries {
  const tables = o.database.queries.withTables<IdentityTables>()
  const sealing = o.keys.purpose('identity.recovery')
  const where = (accountId: AccountId) => place('identity.recovery', accountId)

  async function read(accountId: AccountId, queries = tables): Promise<Recovery | undefined> {
    const row = await queries
      .selectFrom('identity.recovery')
      .select('sealed')
      .where('account_id', '=', accountId)
      .executeTakeFirst()
    if (!row) return undefined
    const { formerPassword, ...recovery } = JSON.parse(
      sealing.unseal(where(accountId), row.sealed).toString(),
    ) as Sealed
    if (recovery.deniableUntilMs <= o.clock.nowMs()) return undefined
    const former = formerPassword === undefined ? undefined : Buffer.from(formerPassword, 'base64')
    return { ...recovery, formerPassword: former }
  }

  return {
    async begin(tx, accountId, replaced) {
      const nowMs = o.clock.nowMs()
      const former = await read(accountId, tx.withTables<IdentityTables>())
      const recovery: Recovery = {
        atMs: former?.atMs ?? nowMs,
        waitsUntilMs: nowMs + WAITING_MS,
        deniableUntilMs: nowMs + DENIABLE_MS,
        formerPassword: former ? former.formerPassword : replaced,
      }
      const content = { ...recovery, formerPassword: recovery.formerPassword?.toString('base64') }
      const row = {
        sealed: sealing.seal(where(accountId), evenLength(content, STEP)),
        expires_hour: new Date(Math.ceil(recovery.deniableUntilMs / HOUR_MS) * HOUR_MS),
      }
      await tx
        .withTables<IdentityTables>()
        .insertInto('identity.recovery')
        .values({ account_id: accountId, ...row })
        .onConflict((conflict) => conflict.column('account_id').doUpdateSet(row))
        .execute()
      return recovery
    },

    find: (accountId) => read(accountId),

    async end(tx, accountId) {
      const { numDeletedRows } = await tx
        .withTables<IdentityTables>()
        .deleteFrom('identity.recovery')
        .where('account_id', '=', accountId)
        .executeTakeFirst()
      return numDeletedRows > 0n
    },

    async sweep() {
      await tables
        .deleteFrom('identity.recovery')
        .where('expires_hour', '<=', new Date(o.clock.nowMs()))
        .execute()
    },
  }
}
