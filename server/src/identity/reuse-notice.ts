import type { AccountId, Database } from '../core/index.ts'
import type { AccountChanges } from './account-changes.ts'
import type { SendLetter } from './account-face.ts'
import type { Notices } from './notices.ts'

/**
 * A refresh token or a code that comes twice has been copied (RFC 9700 section 4.14.2). Its sign-in was ended; whose it
 * was should know.
 */
export function createReuseNotice(o: {
  database: Database
  notices: Notices
  changes: AccountChanges
  sendLetter: SendLetter
}): (accountId: AccountId) => Promise<void> {
  return async (accountId) => {
    await o.database.transaction(async (tx) => {
      await o.notices.add(tx, accountId, 'session_ended_by_reuse')
      await o.sendLetter(tx, { to: accountId, letter: { kind: 'session_ended_by_reuse' } })
    })
    o.changes.notice(accountId)
  }
}
