import { sql } from 'kysely'
import type { AccountId, Clock, Database, Tx } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import { evenLength } from './even-length.ts'
import { type Issued, type IssuedTo, newestEpoch, type ResetEpochs } from './reset-epochs.ts'
import type { IdentityTables } from './tables.ts'

/**
 * What is kept for one use: a challenge for the ceremony that it was made for, a ticket for whoever holds the link.
 * The name is the other half: a secret, or what the use is bound to. Neither stands in the table.
 */
export interface OneUse<Value extends object> {
  /** One for each name: a new one ends the one before. */
  put(name: string, value: Value, validSeconds: number, tx?: Tx): Promise<void>
  /** Without using it up; only for what decides nothing yet. */
  look(name: string): Promise<Value | undefined>
  /** Of several at the same moment one gets it. */
  take(name: string, tx?: Tx): Promise<Value | undefined>
  /** Ends all of this kind. Of two at once, the second waits for the first's commit, and ends what that put there. */
  clear(tx: Tx): Promise<void>
}

/** Times in the clear are kept to the hour. */
const HOUR_MS = 3_600_000
const STEP = 512

export function createOneUse<Value extends object>(o: {
  database: Database
  keys: Keys
  clock: Clock
  kind: string
  epochs: ResetEpochs
}): OneUse<Value> {
  const { kind } = o
  const digesting = o.keys.purpose('identity.one-use.digest')
  const sealing = o.keys.purpose('identity.one-use.seal')
  const rows = (tx?: Tx) => (tx ?? o.database.queries).withTables<IdentityTables>()
  const labelOf = (name: string) => place(kind, name)
  const where = (digest: Buffer) => place('identity.one_use', kind, digest.toString('hex'))

  async function open(row: (Issued & Row) | undefined, tx?: Tx): Promise<Value | undefined> {
    if (!row) return undefined
    const { value, expiresAtMs } = JSON.parse(
      sealing.unseal(where(row.name_digest), row.sealed).toString(),
    ) as { value: Value; expiresAtMs: number }
    if (expiresAtMs <= o.clock.nowMs()) return undefined
    // Whatever the reset: who was about to use it begins anew.
    return (await o.epochs.standing(row, issuedTo(kind, value), tx)) === 'holds' ? value : undefined
  }

  return {
    async put(name, value, validSeconds, tx) {
      const name_digest = digesting.digest(labelOf(name))
      const expiresAtMs = o.clock.nowMs() + validSeconds * 1000
      const row = {
        sealed: sealing.seal(where(name_digest), evenLength({ value, expiresAtMs }, STEP)),
        expires_at: new Date(Math.ceil(expiresAtMs / HOUR_MS) * HOUR_MS),
        epoch: sql<number>`default`,
      }
      await rows(tx)
        .insertInto('identity.one_use')
        .values({ kind, name_digest, ...row })
        .onConflict((conflict) => conflict.columns(['kind', 'name_digest']).doUpdateSet(row))
        .execute()
    },
    async look(name) {
      const found = await rows()
        .selectFrom('identity.one_use')
        .select(['name_digest', 'sealed', 'epoch', newestEpoch])
        .where('kind', '=', kind)
        .where('name_digest', 'in', digesting.digests(labelOf(name)))
        .executeTakeFirst()
      return open(found)
    },
    async take(name, tx) {
      const taken = await rows(tx)
        .deleteFrom('identity.one_use')
        .where('kind', '=', kind)
        .where('name_digest', 'in', digesting.digests(labelOf(name)))
        .returning(['name_digest', 'sealed', 'epoch', newestEpoch])
        .executeTakeFirst()
      return open(taken, tx)
    },
    async clear(tx) {
      await sql`select pg_advisory_xact_lock(hashtext(${`identity.one_use ${kind}`}))`.execute(tx)
      await rows(tx).deleteFrom('identity.one_use').where('kind', '=', kind).execute()
    },
  }
}

interface Row {
  name_digest: Buffer
  sealed: Buffer
}

/** What makes an operator is not a customer's; a challenge is whoever's asks for it first, and asked for again in a moment. */
function issuedTo(kind: string, value: object): IssuedTo {
  if (kind === 'operator' || kind === 'first-operator') return 'operators'
  // A link for somebody who has no account yet.
  if ('for' in value && value.for !== 'account') return value.for === 'operator' ? 'operators' : 'customers'
  return 'accountId' in value ? (value.accountId as AccountId) : 'customers'
}

/** Removes what has expired. */
export async function sweepOneUse(o: { database: Database; clock: Clock }): Promise<void> {
  await o.database.queries
    .withTables<IdentityTables>()
    .deleteFrom('identity.one_use')
    .where('expires_at', '<=', new Date(o.clock.nowMs()))
    .execute()
}
