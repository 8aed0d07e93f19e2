import { setTimeout as sleep } from 'node:timers/promises'
import { type AccountId, type Database, newId } from '../core/index.ts'
import type { Vault } from '../vault/index.ts'
import type { Accounts } from './accounts.ts'
import type { Identity } from './face.ts'
import { checkPassword } from './password-rules.ts'
import type { Passwords } from './passwords.ts'
import type { RateLimits } from './rate-limits.ts'

/**
 * Nobody may learn from signing up who has an account: the same answer, one password hash either way, and the
 * answer leaves at a multiple of `answerMs` after the question, which drowns the difference between a row that
 * is written and one that is not.
 */
export function createSignUp(o: {
  database: Database
  vault: Vault
  accounts: Accounts
  passwords: Passwords
  limits: RateLimits
  answerMs: number
}): Identity['signUp'] {
  return async ({ email, name, password, remoteAddress }) => {
    o.limits.spendForAddress('signUp', remoteAddress)
    o.vault.checkEmail(email)
    o.vault.checkName(name)
    checkPassword(password, email)
    o.limits.spendForAccount('signUp', { kind: 'customer', email, remoteAddress })
    await answerAtMultiplesOf(o.answerMs, async () => {
      const accountId = newId<AccountId>()
      const sealedPassword = await o.passwords.seal(accountId, password)
      await o.database.transaction(async (tx) => {
        const outcome = await o.vault.add(tx, { accountId, kind: 'customer', email, name })
        if (outcome === 'taken') return
        await o.accounts.add(tx, { accountId, kind: 'customer', roles: [], sealedPassword })
      })
    })
  }
}

async function answerAtMultiplesOf(stepMs: number, work: () => Promise<void>): Promise<void> {
  const startedMs = performance.now()
  try {
    await work()
  } finally {
    const tookMs = performance.now() - startedMs
    if (stepMs > 0) await sleep(Math.ceil(tookMs / stepMs) * stepMs - tookMs)
  }
}
