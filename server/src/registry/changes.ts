import type { DeviceId, Log } from '../core/index.ts'
import type { AccessChange, TenureChange } from './face.ts'

/** The one place where the room tells others, after a commit, what has changed. */
export interface Changes {
  tenure(change: TenureChange): void
  access(change: AccessChange): void
  /** Both return the way to stop listening. `concerned`: devices that the listener must miss nothing of. */
  onTenure(listener: (change: TenureChange) => void, concerned?: () => DeviceId[]): () => void
  onAccess(listener: (change: AccessChange) => void): () => void
  /** All devices that some listener is concerned with now. */
  concerned(): DeviceId[]
}

export function createChanges({ log }: { log: Log }): Changes {
  const tenure = announcer<TenureChange>((error, { deviceId }) =>
    log.error('a listener to tenure changes failed', { error, deviceId }),
  )
  const access = announcer<AccessChange>((error, { householdId }) =>
    log.error('a listener to access changes failed', { error, householdId }),
  )
  const concerns = new Set<() => DeviceId[]>()
  return {
    tenure: tenure.announce,
    access: access.announce,
    onTenure(listener, concerned = () => []) {
      const own = () => concerned()
      concerns.add(own)
      const stop = tenure.listen(listener)
      return () => {
        concerns.delete(own)
        stop()
      }
    },
    onAccess: access.listen,
    concerned: () => [...new Set([...concerns].flatMap((concerned) => concerned()))],
  }
}

function announcer<Change>(failed: (error: unknown, change: Change) => void) {
  const listeners = new Set<(change: Change) => void>()
  return {
    announce(change: Change): void {
      for (const listener of listeners) {
        try {
          listener(change)
        } catch (error) {
          // The change is committed: the other listeners must hear of it whatever became of this one.
          failed(error, change)
        }
      }
    },
    listen(listener: (change: Change) => void): () => void {
      // A wrapper of its own for each call: the same function may listen twice.
      const own = (change: Change) => listener(change)
      listeners.add(own)
      return () => listeners.delete(own)
    },
  }
}
