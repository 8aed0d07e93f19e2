import type { AccountId, Log } from '../core/index.ts'
import type { Identity } from '../identity/index.ts'
import type { LiveStreams } from './live-streams.ts'
import { showNotice } from './notice-shape.ts'

/** What happens to an account, on its open live streams. */
export interface LiveSecurity {
  /** Sessions may have ended, here or in another process: ends the streams of those that have. */
  look(accountId: AccountId): Promise<void>
  /** Sends the newest notice. */
  tell(accountId: AccountId): void
}

export function createLiveSecurity(o: {
  identity: Pick<Identity, 'isSessionLive' | 'notices'>
  live: LiveStreams
  log: Log
}): LiveSecurity {
  async function endUnlessLive(sessionId: string): Promise<void> {
    try {
      if (!(await o.identity.isSessionLive(sessionId))) o.live.endSession(sessionId)
    } catch (error) {
      // Whoever comes back is authenticated anew.
      o.log.warn('a session could not be looked up; its streams end', { error })
      o.live.endSession(sessionId, 'reconnect')
    }
  }

  return {
    async look(accountId) {
      await Promise.all(o.live.sessionsOf(accountId).map(endUnlessLive))
    },
    tell(accountId) {
      if (o.live.sessionsOf(accountId).length === 0) return
      o.identity.notices(accountId).then(
        ([newest]) => newest && o.live.tell(accountId, showNotice(newest)),
        (error) => o.log.warn('a notice could not be read; it stays in GET /v1/me', { error }),
      )
    },
  }
}
