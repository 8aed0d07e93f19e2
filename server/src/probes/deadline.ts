/** Time that is allowed, less what is spent waiting for one's turn. */
export interface Deadline {
  readonly milliseconds: number
  /** Aborted when the time is over, or the whole is called off. */
  readonly signal: AbortSignal
  /** Aborted only when the whole is called off. */
  readonly calledOff: AbortSignal
  pause(): void
  resume(): void
  /** A part of it; it pauses the whole when it pauses. */
  part(milliseconds: number): Deadline
  /** Must be called. Whatever still goes on in it ends. */
  end(): void
}

export function createDeadline(o: {
  milliseconds: number
  calledOff: AbortSignal
  whole?: Deadline
}): Deadline {
  const { milliseconds, calledOff, whole } = o
  const controller = new AbortController()
  const over = () => controller.abort()
  const parent = whole?.signal ?? calledOff
  let leftMs = milliseconds
  let startedMs = performance.now()
  let timer: NodeJS.Timeout | undefined = setTimeout(over, leftMs)
  parent.addEventListener('abort', over, { once: true })
  if (parent.aborted) over()
  const deadline: Deadline = {
    milliseconds,
    calledOff,
    signal: controller.signal,
    pause() {
      clearTimeout(timer)
      timer = undefined
      leftMs -= performance.now() - startedMs
      whole?.pause()
    },
    resume() {
      whole?.resume()
      startedMs = performance.now()
      timer = setTimeout(over, Math.max(0, leftMs))
    },
    part: (part) => createDeadline({ milliseconds: part, calledOff, whole: deadline }),
    end() {
      clearTimeout(timer)
      parent.removeEventListener('abort', over)
      over()
    },
  }
  return deadline
}
