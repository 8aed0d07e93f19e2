import { type AccountId, AppError, type Database, type Secret } from '../core/index.ts'
import type { Vault } from '../vault/index.ts'
import type { AccountChanges } from './account-changes.ts'
import type { AccountCare } from './account-face.ts'
import type { Accounts } from './accounts.ts'
import type { Identity } from './face.ts'
import type { Passwords } from './passwords.ts'
import type { RateLimits } from './rate-limits.ts'
import type { Sessions } from './sessions.ts'

/**
 * A new password, by whoever shows the old one or has just come by a passkey. Every other session ends: what the old
 * password opened is closed.
 */
export function createChangePassword(o: {
  database: Database
  vault: Vault
  accounts: Accounts
  passwords: Passwords
  sessions: Sessions
  changes: AccountChanges
  limits: RateLimits
  isHeldBack: AccountCare['isHeldBack']
}): Identity['changePassword'] {
  async function proveOld(accountId: AccountId, given: Secret | undefined): Promise<void> {
    const account = await o.accounts.find(accountId)
    const { right } = given ? await o.passwords.verify(given, account) : { right: false }
    if (!right) throw new AppError('invalid_request', { message: 'The present password is not right.' })
  }
  return async (principal, { current, next, byFreshSignIn }) => {
    const { accountId, sessionId, methods } = principal
    o.limits.spendForSignedIn('code', accountId)
    // After a recovery by a thief, the sessions from before are the owner's way to undo it.
    if (await o.isHeldBack(principal)) throw new AppError('held_back')
    const byPasskey = byFreshSignIn && methods.some((method) => method === 'swk' || method === 'hwk')
    await o.passwords.check(next, await o.vault.read(accountId))
    if (!byPasskey) await proveOld(accountId, current)
    const sealedPassword = await o.passwords.seal(accountId, next)
    await o.database.transaction(async (tx) => {
      await o.accounts.replacePassword(tx, accountId, sealedPassword)
      // The row is locked. A recovery that came first has ended this session, or judged it: it stands.
      if (!(await o.sessions.isLive(sessionId, tx))) throw new AppError('unauthenticated')
      await o.sessions.end(tx, accountId, (session) => session.sessionId !== sessionId)
    })
    o.changes.sessions(accountId)
  }
}
