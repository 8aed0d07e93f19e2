import { AppError, isId, type LetterId, Personal, recordNothing, Secret } from '../core/index.ts'
import type { Mail, MailOptions, WaitingLetter } from './face.ts'
import { compose } from './letters.ts'
import { createOutbox, type OutboxLetter } from './outbox.ts'
import { createSender } from './sender.ts'
import { createSmtp } from './smtp.ts'

const HOUR_MS = 3_600_000
const POLL_MS = 2_000
const LISTED = 200
/** Without a mail server: long enough for an operator to read a letter, and an end to what a copy holds. */
const KEPT_MS = 7 * 24 * HOUR_MS

export function createMail(options: MailOptions): Mail {
  const { database, keys, vault, clock, log, smtp, pollMs = POLL_MS } = options
  const { recordAct = recordNothing } = options
  const outbox = createOutbox({ database, keys, clock })
  const sender = smtp && createSender({ database, outbox, vault, smtp: createSmtp(smtp), clock, log, pollMs })
  let enqueued = 0
  let shown = 0
  let sweeper: NodeJS.Timeout | undefined
  let sweeping: Promise<unknown> = Promise.resolve()

  function sweep(): void {
    sweeping = outbox
      .removeQueuedBefore(clock.nowMs() - KEPT_MS)
      .catch((error) => log.warn('sweeping old letters failed; the next round tries again', { error }))
  }

  function outline({ letterId, letter, queuedMs, attempts }: OutboxLetter): WaitingLetter {
    return { letterId, kind: letter.kind, queuedHourMs: queuedMs - (queuedMs % HOUR_MS), attempts }
  }

  return {
    sends: sender !== undefined,
    async start() {
      sweep()
      sweeper = setInterval(sweep, HOUR_MS).unref()
      sender?.start()
    },
    async close() {
      clearInterval(sweeper)
      await sweeping
      await sender?.close()
    },
    async enqueue(tx, letter) {
      await outbox.add(tx, letter)
      enqueued++
    },
    async forget(tx, who) {
      await outbox.removeOf(tx, who)
    },
    async waiting() {
      return (await outbox.newest(LISTED)).map(outline)
    },
    backlog: outbox.count,
    async show(letterId, operator) {
      if (sender) {
        throw new AppError('conflict', {
          message: 'Letters are sent by SMTP here, and only whom they are for can read them.',
        })
      }
      const found = isId(letterId) ? await outbox.find(letterId as LetterId) : undefined
      if (!found) throw new AppError('not_found')
      const { subject, text } = compose(found.letter)
      const to = found.to instanceof Personal ? found.to : (await vault.read(found.to)).email
      await database.transaction((tx) =>
        recordAct(tx, {
          actor: operator,
          act: 'letters.read',
          subject: { kind: 'letter', id: letterId },
          details: { kind: found.letter.kind },
        }),
      )
      shown++
      // Whoever reads a code can use it: this line is how it comes to light.
      log.warn('an operator read a letter of the outbox', { operator, letterId, kind: found.letter.kind })
      return { ...outline(found), to, subject, text: new Secret(text) }
    },
    stats: () => ({ mail_enqueued: enqueued, mail_shown: shown, ...sender?.stats() }),
  }
}
