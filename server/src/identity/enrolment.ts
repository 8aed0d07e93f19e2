import { type AccountId, AppError, type Clock, type Database, newId, type Secret } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { Vault } from '../vault/index.ts'
import type { Accounts } from './accounts.ts'
import { type Identity, operatorRoles } from './face.ts'
import { checkPassword } from './password-rules.ts'
import type { Passwords } from './passwords.ts'
import type { RateLimits } from './rate-limits.ts'
import type { IdentityTables } from './tables.ts'
import { newTypedCode, normaliseTypedCode } from './typed-code.ts'

const VALID_MS = 60 * 60 * 1000
/** 125 bits. */
const GROUPS = 5

/** How the first operator comes in: by a code that only whoever reads the server's console knows. */
export function createEnrolment(o: {
  database: Database
  keys: Keys
  vault: Vault
  accounts: Accounts
  passwords: Passwords
  limits: RateLimits
  clock: Clock
}): Pick<Identity, 'operatorEnrolment' | 'enrolOperator'> {
  const digesting = o.keys.purpose('identity.enrolment')
  const tables = o.database.queries.withTables<IdentityTables>()
  const now = () => new Date(o.clock.nowMs())

  async function isValid(code: Secret): Promise<boolean> {
    const row = await tables
      .selectFrom('identity.enrolment')
      .select('only_one')
      .where('code_digest', 'in', digesting.digests(normaliseTypedCode(code)))
      .where('expires_at', '>', now())
      .executeTakeFirst()
    return row !== undefined
  }

  return {
    async operatorEnrolment() {
      if (await o.accounts.anyOperator()) return undefined
      const code = newTypedCode(GROUPS)
      const row = {
        code_digest: digesting.digest(normaliseTypedCode(code)),
        expires_at: new Date(o.clock.nowMs() + VALID_MS),
      }
      await tables
        .insertInto('identity.enrolment')
        .values(row)
        .onConflict((conflict) => conflict.column('only_one').doUpdateSet(row))
        .execute()
      return code
    },

    async enrolOperator({ code, email, name, password, remoteAddress }) {
      o.limits.spendForAddress('enrolment', remoteAddress)
      if (!(await isValid(code))) throw refused()
      o.vault.checkEmail(email)
      o.vault.checkName(name)
      checkPassword(password, email)
      const accountId = newId<AccountId>()
      const sealedPassword = await o.passwords.seal(accountId, password)
      await o.database.transaction(async (tx) => {
        // Deleting is what uses the code up: of two at the same moment, one finds the row.
        const used = await tx
          .withTables<IdentityTables>()
          .deleteFrom('identity.enrolment')
          .where('code_digest', 'in', digesting.digests(normaliseTypedCode(code)))
          .where('expires_at', '>', now())
          .returning('only_one')
          .executeTakeFirst()
        if (!used || (await o.accounts.anyOperator(tx))) throw refused()
        const outcome = await o.vault.add(tx, { accountId, kind: 'operator', email, name })
        if (outcome === 'taken') throw new AppError('conflict')
        await o.accounts.add(tx, { accountId, kind: 'operator', roles: [...operatorRoles], sealedPassword })
      })
    },
  }
}

function refused(): AppError {
  return new AppError('sign_in_refused', {
    message: 'This enrolment code cannot be used. It works once, and for an hour.',
  })
}
