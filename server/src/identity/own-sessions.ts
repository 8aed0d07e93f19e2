import { type AccountId, AppError, type Database } from '../core/index.ts'
import type { AccountChanges } from './account-changes.ts'
import type { AccountCare, Asking } from './account-face.ts'
import type { Session, Sessions } from './sessions.ts'

/** What a person sees of their own sign-ins, and ends. */
export function createOwnSessions(o: {
  database: Database
  sessions: Sessions
  changes: AccountChanges
  isHeldBack: AccountCare['isHeldBack']
}): Pick<
  AccountCare,
  'sessions' | 'endOneSession' | 'endOtherSessions' | 'endAllSessions' | 'isSessionLive' | 'onSessionsChange'
> {
  async function end(principal: Asking, which: (session: Session) => boolean): Promise<void> {
    const { accountId, sessionId } = principal
    const chosen = (await o.sessions.list(accountId)).filter(which)
    const onlyOwn = chosen.every((session) => session.sessionId === sessionId)
    // After a recovery by a thief, the sessions from before are the owner's way to undo it.
    if (!onlyOwn && (await o.isHeldBack(principal))) throw new AppError('held_back')
    await o.database.transaction((tx) => o.sessions.end(tx, accountId, which))
    o.changes.sessions(accountId)
  }

  return {
    async sessions(accountId: AccountId) {
      const sessions = await o.sessions.list(accountId)
      return sessions.map(o.sessions.show).sort((a, b) => b.beganAtMs - a.beganAtMs)
    },
    async endOneSession(principal, sessionId) {
      const own = await o.sessions.list(principal.accountId)
      if (!own.some((session) => session.sessionId === sessionId)) throw new AppError('not_found')
      await end(principal, (session) => session.sessionId === sessionId)
    },
    endOtherSessions: (principal) => end(principal, ({ sessionId }) => sessionId !== principal.sessionId),
    endAllSessions: (principal) => end(principal, () => true),
    isSessionLive: (sessionId) => o.sessions.isLive(sessionId),
    onSessionsChange: (listener) => o.changes.onSessions(listener),
  }
}
