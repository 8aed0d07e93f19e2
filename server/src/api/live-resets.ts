import type { HeardReset } from '../identity/index.ts'
import type { ApiLimits } from './limits.ts'
import type { LiveStream, LiveStreams } from './live-streams.ts'

const WAVE_MS = 100
/** Who reads live comes back within this, each at a time of its own. */
const RETRY_WITHIN_MS = 5_000

/** Live streams that were begun with what a reset has made void: silent at once, and ended in waves. */
export interface LiveResets {
  hear(reset: HeardReset): Promise<void>
  /** Void, and not ended yet. */
  readonly waiting: number
  /** Since the start. */
  readonly ended: number
  close(): void
}

export function createLiveResets(o: {
  live: Pick<LiveStreams, 'before'>
  limits: Pick<ApiLimits, 'resetEndsPerSecond'>
}): LiveResets {
  const waiting: { stream: LiveStream; quietly: boolean }[] = []
  const known = new Set<LiveStream>()
  let allowance = 0
  let ended = 0
  let timer: NodeJS.Timeout | undefined

  function wave(): void {
    allowance += (o.limits.resetEndsPerSecond * WAVE_MS) / 1_000
    const count = Math.floor(allowance)
    allowance -= count
    for (const { stream, quietly } of waiting.splice(0, count)) {
      known.delete(stream)
      ended += 1
      stream.end(quietly ? 'reconnect' : 'signed_out', Math.floor(Math.random() * RETRY_WITHIN_MS))
    }
    if (waiting.length > 0) return
    clearInterval(timer)
    timer = undefined
  }

  function makeVoid(stream: LiveStream, quietly: boolean): void {
    if (known.has(stream)) return
    // Not a stream of events: what is being sent there stops now.
    if (!stream.isOpen) {
      stream.end('reconnect')
      return
    }
    known.add(stream)
    const at = Math.floor(Math.random() * (waiting.length + 1))
    const entry = { stream, quietly }
    waiting.push(waiting[at] ?? entry)
    waiting[at] = entry
    timer ??= setInterval(wave, WAVE_MS)
  }

  return {
    async hear(reset) {
      const older = o.live.before(reset.epoch)
      // Until it is known whom it reaches, nobody is told anything.
      for (const { stream } of older) stream.mute()
      const reached = await reset.reached(older.map(({ accountId }) => accountId))
      for (const { accountId, stream } of older) {
        if (reached.has(accountId)) makeVoid(stream, reset.quietly)
        else if (!known.has(stream)) stream.unmute()
      }
    },
    get waiting() {
      return waiting.length
    },
    get ended() {
      return ended
    },
    close() {
      clearInterval(timer)
    },
  }
}
