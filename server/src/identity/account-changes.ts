import { type AccountId, type Bus, isId, type Log } from '../core/index.ts'

type Listener = (change: { accountId: AccountId }) => void | Promise<void>

/** The one place where the room tells others, after a commit, that something about an account has changed. */
export interface AccountChanges {
  sessions(accountId: AccountId): void
  notice(accountId: AccountId): void
  /** Both return the way to stop listening. */
  onSessions(listener: Listener): () => void
  onNotice(listener: Listener): () => void
  /** Hears of what other processes committed, too. */
  start(): void
  close(): void
}

/** Hints come from the database's own triggers (migrations): no way of ending a session can forget to tell. */
export function createAccountChanges(o: {
  log: Log
  bus?: Pick<Bus, 'subscribe'> | undefined
}): AccountChanges {
  const sessions = announcer(o.log)
  const notices = announcer(o.log)
  let stopHearing: (() => void)[] = []
  const hear = (topic: string, announce: (accountId: AccountId) => Promise<void>) =>
    o.bus?.subscribe(topic, async ({ payload }) => {
      if (isId(payload)) await announce(payload as AccountId)
    }) ?? (() => {})
  return {
    sessions: (accountId) => void sessions.announce(accountId),
    notice: (accountId) => void notices.announce(accountId),
    onSessions: sessions.listen,
    onNotice: notices.listen,
    start() {
      stopHearing = [hear('identity.session', sessions.announce), hear('identity.notice', notices.announce)]
    },
    close() {
      for (const stop of stopHearing) stop()
    },
  }
}

function announcer(log: Log) {
  const listeners = new Set<Listener>()
  return {
    /** Resolves when all have taken effect of it: a process that has not yet must not count as one that knows. */
    async announce(accountId: AccountId): Promise<void> {
      const told = [...listeners].map(async (listener) => listener({ accountId }))
      for (const outcome of await Promise.allSettled(told)) {
        // The change is committed: the other listeners must hear of it whatever became of this one.
        if (outcome.status === 'rejected')
          log.error('a listener to changes of an account failed', { error: outcome.reason, accountId })
      }
    },
    listen(listener: Listener): () => void {
      const own: Listener = (change) => listener(change)
      listeners.add(own)
      return () => listeners.delete(own)
    },
  }
}
