import { sql } from 'kysely'
import { type AccountId, type Clock, type Database, Personal, type Secret, type Tx } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import { newestEpoch, type ResetEpochs } from './reset-epochs.ts'
import type { IdentityTables } from './tables.ts'
import { newTypedCode, normaliseTypedCode } from './typed-code.ts'

const HOUR_MS = 3_600_000
const VALID_MS = 15 * 60_000
/** 50 bits; `MAX_TRIES` guesses at such a code are right once in ten million million. */
const GROUPS = 2
/** For one account and purpose, from anywhere. So many that a stranger does not use them up: limits on each network come first. */
const MAX_TRIES = 100

export type CodePurpose = IdentityTables['identity.mailed_code']['purpose']

export interface MailedCodes {
  /** A new code; those before keep working to their end, so that a stranger who asks for more does not shut anybody out. */
  issue(tx: Tx, o: { accountId: AccountId; purpose: CodePurpose; address: Personal }): Promise<Secret>
  /** Counts a try, right or wrong. @returns where the code was mailed to, when it is right */
  attempt(accountId: AccountId, purpose: CodePurpose, code: Secret): Promise<Personal | undefined>
  /**
   * Uses the code up, and all others of this purpose. @returns false for one from before a reset, and for all but one of those
   * who do so at the same moment
   */
  use(tx: Tx, accountId: AccountId, purpose: CodePurpose, code: Secret): Promise<boolean>
  endAll(tx: Tx, accountId: AccountId): Promise<void>
  sweep(): Promise<void>
}

interface Sealed {
  address: string
  /** The exact end, which counts; the row's own is the next full hour. */
  expiresAtMs: number
}

/** One-use codes that were mailed to a person: short-lived, kept as digests, bound to the account and the purpose. */
export function createMailedCodes(o: {
  database: Database
  keys: Keys
  clock: Clock
  epochs: ResetEpochs
}): MailedCodes {
  const tables = o.database.queries.withTables<IdentityTables>()
  const digesting = o.keys.purpose('identity.mailed-code')
  const where = (accountId: AccountId, purpose: CodePurpose, digest: Buffer) =>
    place('identity.mailed_code', accountId, purpose, digest.toString('hex'))
  const labelled = (accountId: AccountId, purpose: CodePurpose, code: Secret) =>
    place(accountId, purpose, normaliseTypedCode(code))
  const now = () => new Date(o.clock.nowMs())

  return {
    async issue(tx, { accountId, purpose, address }) {
      const code = newTypedCode(GROUPS)
      const digest = digesting.digest(labelled(accountId, purpose, code))
      const expiresAtMs = o.clock.nowMs() + VALID_MS
      const content: Sealed = { address: address.reveal(), expiresAtMs }
      await tx
        .withTables<IdentityTables>()
        .insertInto('identity.mailed_code')
        .values({
          account_id: accountId,
          purpose,
          code_digest: digest,
          sealed: digesting.seal(where(accountId, purpose, digest), padded(content)),
          expires_hour: new Date(Math.ceil(expiresAtMs / HOUR_MS) * HOUR_MS),
        })
        .execute()
      return code
    },

    async attempt(accountId, purpose, code) {
      const rows = await tables
        .updateTable('identity.mailed_code')
        .set({ tries: sql`tries + 1` })
        .where('account_id', '=', accountId)
        .where('purpose', '=', purpose)
        .where('tries', '<', MAX_TRIES)
        .where('expires_hour', '>', now())
        .returning(['code_digest', 'sealed'])
        .execute()
      const digests = digesting.digests(labelled(accountId, purpose, code))
      const row = rows.find(({ code_digest }) => digests.some((digest) => digest.equals(code_digest)))
      if (!row) return undefined
      const text = digesting.unseal(where(accountId, purpose, row.code_digest), row.sealed).toString()
      const { address, expiresAtMs } = JSON.parse(text) as Sealed
      return expiresAtMs > o.clock.nowMs() ? new Personal(address) : undefined
    },

    async use(tx, accountId, purpose, code) {
      const rows = await tx
        .withTables<IdentityTables>()
        .deleteFrom('identity.mailed_code')
        .where('account_id', '=', accountId)
        .where('purpose', '=', purpose)
        .returning(['code_digest', 'epoch', newestEpoch])
        .execute()
      const digests = digesting.digests(labelled(accountId, purpose, code))
      const row = rows.find(({ code_digest }) => digests.some((digest) => digest.equals(code_digest)))
      return row !== undefined && (await o.epochs.standing(row, accountId, tx)) === 'holds'
    },

    async endAll(tx, accountId) {
      await tx
        .withTables<IdentityTables>()
        .deleteFrom('identity.mailed_code')
        .where('account_id', '=', accountId)
        .execute()
    },

    async sweep() {
      await tables.deleteFrom('identity.mailed_code').where('expires_hour', '<=', now()).execute()
    },
  }
}

/** One length for all: JSON takes spaces at its end. */
function padded(content: Sealed): string {
  const text = JSON.stringify(content)
  return text + ' '.repeat(Math.max(0, 512 - Buffer.byteLength(text)))
}
