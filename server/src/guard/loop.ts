import type { Log } from '../core/index.ts'

/** Work that is done again and again, never twice at once. */
export interface Loop {
  start(): void
  /** Now, or once more right after what is under way. */
  kick(): void
  /** Waits for what is under way. */
  close(): Promise<void>
}

export function createLoop(o: { everyMs: number; what: string; log: Log; work: () => Promise<void> }): Loop {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let again = false
  let closed = true

  function run(): void {
    if (closed) return
    clearTimeout(timer)
    if (running !== undefined) {
      again = true
      return
    }
    again = false
    running = o
      .work()
      .catch((error) => o.log.error(`${o.what} failed; the next round tries again`, { error }))
      .finally(() => {
        running = undefined
        if (closed) return
        if (again) run()
        else timer = setTimeout(run, o.everyMs).unref()
      })
  }

  return {
    start() {
      closed = false
      run()
    },
    kick: run,
    async close() {
      closed = true
      clearTimeout(timer)
      await running
    },
  }
}
