import { type Clock, type Database, isAppError, type LetterId, type Log, Personal } from '../core/index.ts'
import type { Vault } from '../vault/index.ts'
import { compose, usefulMs } from './letters.ts'
import type { Outbox, OutboxLetter } from './outbox.ts'
import type { Outcome, Smtp } from './smtp.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
/** After each failure of one letter; from the last on it stays. What is not gone after a day never goes. */
const PAUSES_MS = [MINUTE_MS, 5 * MINUTE_MS, 20 * MINUTE_MS, HOUR_MS, 2 * HOUR_MS, 4 * HOUR_MS]
/** While the mail server can't be reached at all: doubled each time. */
const FIRST_REST_MS = 2_000
const LAST_REST_MS = 5 * MINUTE_MS
const MAX_PAUSED = 10_000

export interface Sender {
  start(): void
  close(): Promise<void>
  stats(): Record<string, number>
}

/**
 * Empties the outbox. A letter's row stays locked while it is on its way, so that the nodes share the work and a node
 * that dies lets go of its letter. When it dies between the server's 250 and our commit the letter goes twice, with one
 * Message-ID: SMTP has no better (RFC 1047).
 */
export function createSender(o: {
  database: Database
  outbox: Outbox
  vault: Pick<Vault, 'read'>
  smtp: Smtp
  clock: Clock
  log: Log
  pollMs: number
}): Sender {
  /** Letters that this node leaves alone until then. Another node may try one earlier, once. */
  const paused = new Map<LetterId, number>()
  const counts = { sent: 0, refused: 0, failed: 0 }
  let restMs = 0
  let restUntilMs = 0
  let timer: NodeJS.Timeout | undefined
  let round: Promise<void> = Promise.resolve()
  let closed = false

  async function addressOf({ to }: OutboxLetter): Promise<Personal | undefined> {
    if (to instanceof Personal) return to
    try {
      return (await o.vault.read(to)).email
    } catch (error) {
      // Erased since: nobody is left to write to.
      if (isAppError(error, 'not_found')) return undefined
      throw error
    }
  }

  /** @returns false when nothing is due, or nothing should be tried for now */
  function sendOne(): Promise<boolean> {
    return o.database.transaction(async (tx) => {
      const letter = await o.outbox.take(tx, [...paused.keys()])
      if (!letter) return false
      const late = o.clock.nowMs() - letter.queuedMs >= usefulMs(letter.letter)
      const address = late ? undefined : await addressOf(letter)
      if (!address) {
        if (late) counts.failed++
        await o.outbox.remove(tx, letter.letterId)
        return true
      }
      const { letterId } = letter
      const outcome = await o.smtp.send({
        id: letterId,
        to: address.reveal(),
        ...compose(letter.letter),
      })
      note(letter, outcome)
      if (outcome.kind === 'sent' || outcome.kind === 'refused') await o.outbox.remove(tx, letterId)
      else await o.outbox.putOff(tx, letter, pause(letter))
      return outcome.kind !== 'unreachable'
    })
  }

  function pause({ letterId, attempts }: OutboxLetter): number {
    const pauseMs = PAUSES_MS[Math.min(attempts, PAUSES_MS.length - 1)] as number
    paused.set(letterId, o.clock.nowMs() + pauseMs)
    return pauseMs
  }

  function note({ letterId, letter }: OutboxLetter, outcome: Outcome): void {
    if (outcome.kind === 'sent') counts.sent++
    if (outcome.kind === 'refused') {
      counts.refused++
      o.log.warn('the mail server refused a letter for good', {
        letterId,
        kind: letter.kind,
        reply: outcome.code,
      })
    }
    if (outcome.kind !== 'unreachable') {
      restMs = 0
      return
    }
    restMs = Math.min(restMs * 2 || FIRST_REST_MS, LAST_REST_MS)
    restUntilMs = o.clock.nowMs() + restMs
    o.log.warn('letters cannot be sent now; they wait', { reply: outcome.code, restMs })
  }

  async function sendDue(): Promise<void> {
    const nowMs = o.clock.nowMs()
    if (nowMs < restUntilMs) return
    for (const [letterId, untilMs] of paused) if (untilMs <= nowMs) paused.delete(letterId)
    while (!closed && paused.size < MAX_PAUSED && (await sendOne()));
  }

  function run(): void {
    round = sendDue()
      .catch((error) => o.log.warn('emptying the outbox failed; the next round tries again', { error }))
      .finally(() => {
        if (!closed) timer = setTimeout(run, o.pollMs).unref()
      })
  }

  return {
    start: run,
    async close() {
      closed = true
      clearTimeout(timer)
      await round
      o.smtp.close()
    },
    stats: () => ({
      mail_sent: counts.sent,
      mail_refused: counts.refused,
      mail_given_up: counts.failed,
    }),
  }
}
