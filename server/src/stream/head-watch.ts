/** The newest seq that this process has heard of. */
export interface HeadWatch {
  readonly seq: number
  raise(seq: number): void
  /** What was heard turned out to be wrong: a forged wake-up, or a database that was set back. */
  lower(seq: number): void
  /** Resolves when the head is beyond `seq`, after `timeoutMs`, or when aborted. Never rejects. */
  beyond(seq: number, signal: AbortSignal, timeoutMs?: number): Promise<void>
}

export function createHeadWatch(): HeadWatch {
  const waiting = new Set<() => void>()
  let head = 0

  return {
    get seq() {
      return head
    },

    raise(seq) {
      // Anybody in the database may notify: what is no number is no news.
      if (!Number.isSafeInteger(seq) || seq <= head) return
      head = seq
      for (const wake of [...waiting]) wake()
    },

    lower(seq) {
      if (seq < head) head = seq
    },

    beyond(seq, signal, timeoutMs) {
      if (head > seq || signal.aborted) return Promise.resolve()
      return new Promise((resolve) => {
        const wake = () => {
          if (head <= seq && !signal.aborted) return
          finish()
        }
        const finish = () => {
          waiting.delete(wake)
          signal.removeEventListener('abort', wake)
          clearTimeout(timer)
          resolve()
        }
        const timer = timeoutMs === undefined ? undefined : setTimeout(finish, timeoutMs)
        waiting.add(wake)
        signal.addEventListener('abort', wake)
      })
    },
  }
}
