import type { DeviceId } from '../core/index.ts'
import type { HeardDeviceReset } from '../registry/index.ts'
import { type Refusal, reason } from './reason-codes.ts'
import type { Session } from './session.ts'
import type { Counters } from './stats.ts'

const WAVE_MS = 100
/** Devices looked up in one query. */
const AT_ONCE = 10_000

/** Not 0x98: what a device holds to be sent is its household's still. */
const proveAnew: Refusal = { code: reason.serverBusy, text: 'connect again, and prove who you are' }

/**
 * Sessions that a reset has made void. Each is cut off from acting in the turn in which this process hears of it, and
 * closed in its wave, so that a fleet does not come back in one instant.
 */
export class ResetWaves {
  readonly #sessions: () => Iterable<Session>
  readonly #closesPerSecond: number
  readonly #counters: Counters
  /** What this process has heard since its start: a session that was being authenticated meanwhile is compared with them. */
  readonly #heard: HeardDeviceReset[] = []
  readonly #waiting: Session[] = []
  #timer: NodeJS.Timeout | undefined
  /** How many may be closed now; what is left of one is kept for the next wave. */
  #allowance = 0

  constructor(o: { sessions: () => Iterable<Session>; closesPerSecond: number; counters: Counters }) {
    this.#sessions = o.sessions
    this.#closesPerSecond = o.closesPerSecond
    this.#counters = o.counters
  }

  /** Void, and not closed yet. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** The newest epoch that this process knows of; 0 when nothing was reset since its start. */
  get epoch(): number {
    return this.#heard.at(-1)?.epoch ?? 0
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async hear(reset: HeardDeviceReset): Promise<void> {
    this.#heard.push(reset)
    const older = [...this.#sessions()].filter((session) => session.epoch < reset.epoch)
    // Until it is known whom it reaches, nobody acts.
    for (const session of older) session.suspend()
    for (let at = 0; at < older.length; at += AT_ONCE) await this.#judge(reset, older.slice(at, at + AT_ONCE))
  }

  /** A session that begins, though what it has proved was proved before a reset that this process has heard of. */
  async begins(session: Session): Promise<void> {
    const since = this.#heard.filter(({ epoch }) => epoch > session.epoch)
    if (since.length === 0) return
    session.suspend()
    for (const reset of since) await this.#judge(reset, [session])
  }

  async #judge(reset: HeardDeviceReset, sessions: Session[]): Promise<void> {
    const reached = await reset.reached(sessions.map(({ deviceId }) => deviceId as DeviceId))
    for (const session of sessions) {
      if (reached.has(session.deviceId)) this.#end(session)
      else session.resume()
    }
  }

  #end(session: Session): void {
    if (!session.makeVoid()) return
    // In no order that anybody could tell: neighbours do not come back together.
    const at = Math.floor(Math.random() * (this.#waiting.length + 1))
    this.#waiting.push(this.#waiting[at] ?? session)
    this.#waiting[at] = session
    this.#timer ??= setInterval(() => this.#wave(), WAVE_MS)
  }

  #wave(): void {
    this.#allowance += (this.#closesPerSecond * WAVE_MS) / 1_000
    const count = Math.floor(this.#allowance)
    this.#allowance -= count
    for (const session of this.#waiting.splice(0, count)) {
      if (session.connection.open) this.#counters.closedByReset += 1
      session.close(proveAnew)
    }
    if (this.#waiting.length > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
