import {
  type AccountId,
  type Clock,
  type Database,
  type LetterId,
  newId,
  Personal,
  type Tx,
} from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import { normaliseEmail } from '../vault/index.ts'
import type { Addressee } from './face.ts'
import { type Letter, type PlainLetter, toPlain } from './letters.ts'
import { pad, unpad } from './padding.ts'

const HOUR_MS = 3_600_000
const OPENED_AT_ONCE = 500

type MailTables = {
  'mail.outbox': { letter_id: LetterId; queued_hour: Date; try_hour: Date; sealed: Buffer }
}

/** What stands inside the seal. */
interface Content {
  to: { account: AccountId } | { address: string }
  letter: PlainLetter
  queuedMs: number
  attempts: number
}

export interface OutboxLetter {
  letterId: LetterId
  to: Addressee
  letter: PlainLetter
  queuedMs: number
  attempts: number
}

/** The table of letters that wait. Nothing of a letter is in plain but the hour in which it came. */
export interface Outbox {
  add(tx: Tx, o: { to: Addressee; letter: Letter }): Promise<void>
  /** Locks one letter that is due and that no other node has; `undefined` when there is none. */
  take(tx: Tx, except: LetterId[]): Promise<OutboxLetter | undefined>
  /** One more attempt has failed. After a pause of an hour or more only; who waits for less remembers that itself. */
  putOff(tx: Tx, letter: OutboxLetter, pauseMs: number): Promise<void>
  remove(tx: Tx, letterId: LetterId): Promise<void>
  /** Whom a letter is for stands inside the seal, so that all are opened: there are few, and erasures are rare. */
  removeOf(tx: Tx, who: { accountId: AccountId; email: Personal }): Promise<void>
  removeQueuedBefore(ms: number): Promise<number>
  newest(limit: number): Promise<OutboxLetter[]>
  find(letterId: LetterId): Promise<OutboxLetter | undefined>
  count(): Promise<number>
}

export function createOutbox(o: { database: Database; keys: Keys; clock: Clock }): Outbox {
  const tables = o.database.queries.withTables<MailTables>()
  const within = (tx: Tx) => tx.withTables<MailTables>()
  const sealing = o.keys.purpose('mail.outbox')
  const where = (letterId: LetterId) => place('mail.outbox', letterId)
  const hourOf = (ms: number) => new Date(Math.floor(ms / HOUR_MS) * HOUR_MS)

  function seal(letterId: LetterId, content: Content): Buffer {
    return sealing.seal(where(letterId), pad(JSON.stringify(content)))
  }

  function open(row: { letter_id: LetterId; sealed: Buffer }): OutboxLetter {
    const content = JSON.parse(unpad(sealing.unseal(where(row.letter_id), row.sealed))) as Content
    const to = 'account' in content.to ? content.to.account : new Personal(content.to.address)
    return { ...content, letterId: row.letter_id, to }
  }

  return {
    async add(tx, { to, letter }) {
      const letterId = newId<LetterId>()
      const queuedMs = o.clock.nowMs()
      const sealed = seal(letterId, {
        to: to instanceof Personal ? { address: to.reveal() } : { account: to },
        letter: toPlain(letter),
        queuedMs,
        attempts: 0,
      })
      const hour = hourOf(queuedMs)
      await within(tx)
        .insertInto('mail.outbox')
        .values({ letter_id: letterId, queued_hour: hour, try_hour: hour, sealed })
        .execute()
    },

    async take(tx, except) {
      const due = within(tx)
        .selectFrom('mail.outbox')
        .select(['letter_id', 'sealed'])
        .where('try_hour', '<=', new Date(o.clock.nowMs()))
        .orderBy('try_hour')
        .limit(1)
        .forUpdate()
        .skipLocked()
      const row = await (except.length > 0
        ? due.where('letter_id', 'not in', except)
        : due
      ).executeTakeFirst()
      return row && open(row)
    },

    async putOff(tx, { letterId, letter, queuedMs, attempts, to }, pauseMs) {
      const sealed = seal(letterId, {
        to: to instanceof Personal ? { address: to.reveal() } : { account: to },
        letter,
        queuedMs,
        attempts: attempts + 1,
      })
      await within(tx)
        .updateTable('mail.outbox')
        .set({ sealed, try_hour: hourOf(o.clock.nowMs() + pauseMs) })
        .where('letter_id', '=', letterId)
        .execute()
    },

    async remove(tx, letterId) {
      await within(tx).deleteFrom('mail.outbox').where('letter_id', '=', letterId).execute()
    },

    async removeOf(tx, { accountId, email }) {
      const address = normaliseEmail(email.reveal())
      const isTheirs = ({ to }: OutboxLetter) =>
        to instanceof Personal ? normaliseEmail(to.reveal()) === address : to === accountId
      let after: LetterId | undefined
      for (;;) {
        let next = within(tx)
          .selectFrom('mail.outbox')
          .select(['letter_id', 'sealed'])
          .orderBy('letter_id')
          .limit(OPENED_AT_ONCE)
        if (after) next = next.where('letter_id', '>', after)
        const rows = await next.execute()
        const theirs = rows.map(open).filter(isTheirs)
        if (theirs.length > 0) {
          await within(tx)
            .deleteFrom('mail.outbox')
            .where(
              'letter_id',
              'in',
              theirs.map(({ letterId }) => letterId),
            )
            .execute()
        }
        after = rows.at(-1)?.letter_id
        if (rows.length < OPENED_AT_ONCE) return
      }
    },

    async removeQueuedBefore(ms) {
      const { numDeletedRows } = await tables
        .deleteFrom('mail.outbox')
        .where('queued_hour', '<', hourOf(ms))
        .executeTakeFirst()
      return Number(numDeletedRows)
    },

    async newest(limit) {
      const rows = await tables
        .selectFrom('mail.outbox')
        .select(['letter_id', 'sealed'])
        .orderBy('queued_hour', 'desc')
        .limit(limit)
        .execute()
      return rows.map(open).sort((a, b) => b.queuedMs - a.queuedMs)
    },

    async find(letterId) {
      const row = await tables
        .selectFrom('mail.outbox')
        .select(['letter_id', 'sealed'])
        .where('letter_id', '=', letterId)
        .executeTakeFirst()
      return row && open(row)
    },

    async count() {
      const { count } = await tables
        .selectFrom('mail.outbox')
        .select(({ fn }) => fn.countAll<string>().as('count'))
        .executeTakeFirstOrThrow()
      return Number(count)
    },
  }
}
