import { sql } from 'kysely'
import {
  type AccountId,
  type Clock,
  type Database,
  newId,
  Personal,
  type Secret,
  type Tx,
} from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import { normaliseEmail } from '../vault/index.ts'
import { evenLength } from './even-length.ts'
import { newestEpoch, type ResetEpochs } from './reset-epochs.ts'
import type { IdentityTables } from './tables.ts'
import { newTypedCode, normaliseTypedCode } from './typed-code.ts'

const HOUR_MS = 3_600_000
const VALID_MS = 24 * HOUR_MS
/** 50 bits, for the one sign-up whose handle is known. */
const GROUPS = 2
const MAX_TRIES = 100
/** The longest address and name, and a password hash, fit into one. */
const STEP = 1024

/** Somebody who wants an account. Without a password they make a passkey when the address is confirmed. */
export interface Applicant {
  /** Of the account that may come of it; what is sealed for that account is sealed now. */
  accountId: AccountId
  email: Personal
  name: Personal
  sealedPassword: Buffer | undefined
}

/** Sign-ups that wait for the code that was mailed to their address. */
export interface SignUps {
  /** The handle is for whoever signs up, the code for the letter: an account takes both, so that nobody confirms another's. */
  begin(tx: Tx, applicant: Applicant): Promise<{ signUpId: string; code: Secret }>
  /** Counts a try, right or wrong. */
  attempt(signUpId: string, code: Secret): Promise<Applicant | undefined>
  /** @returns false for all but one of those who do so at the same moment */
  use(tx: Tx, signUpId: string): Promise<boolean>
  /** All of an address that is to be forgotten. */
  removeOf(tx: Tx, email: Personal): Promise<void>
  sweep(): Promise<void>
}

interface Sealed {
  accountId: AccountId
  email: string
  name: string
  sealedPassword?: string
  /** The exact end, which counts; the row's own is the next full hour. */
  expiresAtMs: number
}

export function createSignUps(o: {
  database: Database
  keys: Keys
  clock: Clock
  epochs: ResetEpochs
}): SignUps {
  const tables = o.database.queries.withTables<IdentityTables>()
  const digesting = o.keys.purpose('identity.sign-up')
  const where = (handleDigest: Buffer) => place('identity.sign_up', handleDigest.toString('hex'))
  const handleLabel = (signUpId: string) => place('handle', signUpId)
  const emailLabel = (email: Personal) => place('email', normaliseEmail(email.reveal()))
  const codeLabel = (signUpId: string, code: Secret) => place('code', signUpId, normaliseTypedCode(code))
  const now = () => new Date(o.clock.nowMs())

  return {
    async begin(tx, { accountId, email, name, sealedPassword }) {
      const signUpId: string = newId<never>()
      const code = newTypedCode(GROUPS)
      const handleDigest = digesting.digest(handleLabel(signUpId))
      const expiresAtMs = o.clock.nowMs() + VALID_MS
      const content: Sealed = {
        accountId,
        email: email.reveal(),
        name: name.reveal(),
        ...(sealedPassword && { sealedPassword: sealedPassword.toString('base64') }),
        expiresAtMs,
      }
      await tx
        .withTables<IdentityTables>()
        .insertInto('identity.sign_up')
        .values({
          handle_digest: handleDigest,
          email_digest: digesting.digest(emailLabel(email)),
          code_digest: digesting.digest(codeLabel(signUpId, code)),
          sealed: digesting.seal(where(handleDigest), evenLength(content, STEP)),
          expires_hour: new Date(Math.ceil(expiresAtMs / HOUR_MS) * HOUR_MS),
        })
        .execute()
      return { signUpId, code }
    },

    async attempt(signUpId, code) {
      const row = await tables
        .updateTable('identity.sign_up')
        .set({ tries: sql`tries + 1` })
        .where('handle_digest', 'in', digesting.digests(handleLabel(signUpId)))
        .where('tries', '<', MAX_TRIES)
        .returning(['handle_digest', 'code_digest', 'sealed'])
        .executeTakeFirst()
      const digests = digesting.digests(codeLabel(signUpId, code))
      if (!row || !digests.some((digest) => digest.equals(row.code_digest))) return undefined
      const text = digesting.unseal(where(row.handle_digest), row.sealed).toString()
      const { accountId, email, name, sealedPassword, expiresAtMs } = JSON.parse(text) as Sealed
      if (expiresAtMs <= o.clock.nowMs()) return undefined
      return {
        accountId,
        email: new Personal(email),
        name: new Personal(name),
        sealedPassword: sealedPassword === undefined ? undefined : Buffer.from(sealedPassword, 'base64'),
      }
    },

    async use(tx, signUpId) {
      const row = await tx
        .withTables<IdentityTables>()
        .deleteFrom('identity.sign_up')
        .where('handle_digest', 'in', digesting.digests(handleLabel(signUpId)))
        .returning(['epoch', newestEpoch])
        .executeTakeFirst()
      return row !== undefined && (await o.epochs.standing(row, 'customers', tx)) === 'holds'
    },

    async removeOf(tx, email) {
      await tx
        .withTables<IdentityTables>()
        .deleteFrom('identity.sign_up')
        .where('email_digest', 'in', digesting.digests(emailLabel(email)))
        .execute()
    },

    async sweep() {
      await tables.deleteFrom('identity.sign_up').where('expires_hour', '<=', now()).execute()
    },
  }
}
