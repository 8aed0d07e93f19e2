import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import {
  type AccountId,
  AppError,
  type Database,
  isId,
  Personal,
  type RecordAct,
  type Tx,
} from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import type { Affected, AffectedList } from './affected-face.ts'
import type { Notice, NoticeParts, NoticeState, Notices } from './notice-face.ts'
import { checkTemplate, fillTemplate, usualTemplate } from './notice-template.ts'

/** Letters in one transaction. */
const STEP = 100
/** A mail server is not handed millions at once: so many may wait in the outbox. */
const MAX_WAITING = 1_000

interface Content {
  template: string
  locale: string
  by: AccountId
}

interface Row {
  notice_id: string
  affected_id: string
  state: NoticeState
  sealed: Buffer
  written: number
  gone: number
  elsewhere: number
}

interface Next {
  account_id: AccountId
  fields: string
}

const where = (noticeId: string) => place('guard.notice', noticeId)

/** Letters to those whom an exposure touched. A person's letter and the row that says so are one commit. */
export function createNotices(
  o: NoticeParts & {
    database: Database
    keys: Pick<Keys, 'purpose'>
    affected: Pick<Affected, 'get'>
    recordAct: RecordAct
  },
): Notices {
  const { database, letters } = o
  const sealing = o.keys.purpose('guard.notice')

  const select = (which: ReturnType<typeof sql>) => sql<Row>`
    select n.notice_id, n.affected_id, n.state, n.sealed,
      (select count(*)::int from guard.notice_letter l where l.notice_id = n.notice_id and outcome = 'written') as written,
      (select count(*)::int from guard.notice_letter l where l.notice_id = n.notice_id and outcome = 'gone') as gone,
      (select count(*)::int from guard.notice_letter l where l.affected_id = n.affected_id and l.notice_id <> n.notice_id)
        as elsewhere
    from guard.notice n ${which}`

  function contentOf({ notice_id, sealed }: Pick<Row, 'notice_id' | 'sealed'>): Content {
    return JSON.parse(sealing.unseal(where(notice_id), sealed).toString('utf8')) as Content
  }

  async function show(row: Row): Promise<Notice> {
    const { people } = await o.affected.get(row.affected_id)
    return {
      noticeId: row.notice_id,
      affectedId: row.affected_id,
      state: row.state,
      ...contentOf(row),
      people,
      written: row.written,
      waiting: row.written === 0 ? 0 : Math.min(row.written, await letters.waiting()),
      gone: row.gone,
      elsewhere: row.elsewhere,
    }
  }

  async function get(noticeId: string): Promise<Notice> {
    const { rows } = isId(noticeId)
      ? await select(sql`where n.notice_id = ${noticeId}`).execute(database.queries)
      : { rows: [] }
    if (!rows[0]) throw new AppError('not_found')
    return await show(rows[0])
  }

  async function write(
    list: AffectedList,
    { template, locale }: Content,
    next: Next,
  ): Promise<string[] | undefined> {
    const person = await o.person(next.account_id)
    if (!person) return undefined
    const day = new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeZone: 'UTC' })
    const theirs = list.fields.filter((_, bit) => next.fields[bit] === '1').map(({ name }) => name)
    return fillTemplate(template, {
      name: oneLine(person.name.reveal()),
      store: list.store,
      from: day.format(list.fromMs),
      to: day.format(list.toMs),
      fields: theirs.map((name) => `- ${name}`).join('\n'),
    })
  }

  function unwritten(tx: Tx | Database['queries'], affectedId: string, limit: number) {
    return sql<Next>`select account_id, fields::text as fields from guard.affected_person p
      where affected_id = ${affectedId} and not exists (select from guard.notice_letter l
        where l.affected_id = p.affected_id and l.account_id = p.account_id)
      order by account_id limit ${limit}`.execute(tx)
  }

  return {
    template: () => usualTemplate,
    get,

    async list() {
      const { rows } = await select(sql`order by n.number desc limit 50`).execute(database.queries)
      return await Promise.all(rows.map(show))
    },

    async draft({ affectedId, template = usualTemplate, locale = 'en' }, by) {
      await o.affected.get(affectedId)
      const content: Content = { template: checkTemplate(template), locale: checkLocale(locale), by }
      const noticeId = randomUUID()
      const sealed = sealing.seal(where(noticeId), Buffer.from(JSON.stringify(content)))
      await database.transaction(async (tx) => {
        await sql`insert into guard.notice (notice_id, affected_id, state, sealed)
          values (${noticeId}, ${affectedId}, 'draft', ${sealed})`.execute(tx)
        await o.recordAct(tx, {
          actor: by,
          act: 'notices.drafted',
          subject: { kind: 'notice', id: noticeId },
        })
      })
      return await get(noticeId)
    },

    async preview(noticeId) {
      const notice = await get(noticeId)
      const list = await o.affected.get(notice.affectedId)
      const { rows } = await sql<Next>`select account_id, fields::text as fields from guard.affected_person
        where affected_id = ${notice.affectedId} order by account_id limit 1000`.execute(database.queries)
      for (const next of rows) {
        const lines = await write(list, notice, next)
        if (lines) return { lines: lines.map((line) => new Personal(line)) }
      }
      throw new AppError('conflict', { message: 'There is nobody on this list to write to.' })
    },

    async send(noticeId, by) {
      const { state } = await get(noticeId)
      if (state !== 'draft') throw new AppError('conflict', { message: 'This notice has been sent already.' })
      if (!letters.sends()) {
        throw new AppError('conflict', {
          message:
            'There is no mail server: set HEARTHLOCK_SMTP_URL and HEARTHLOCK_MAIL_FROM, or take the list and write to people by other means.',
        })
      }
      await database.transaction(async (tx) => {
        // One at a time: the outbox and the mail server are everybody's.
        await sql`lock table guard.notice in share row exclusive mode`.execute(tx)
        const { rows } = await sql`select from guard.notice where state = 'sending'`.execute(tx)
        if (rows.length > 0) {
          throw new AppError('conflict', { message: 'Another notice is being sent. Wait until it is done.' })
        }
        const { numAffectedRows } = await sql`update guard.notice set state = 'sending'
          where notice_id = ${noticeId} and state = 'draft'`.execute(tx)
        if (numAffectedRows !== 1n)
          throw new AppError('conflict', { message: 'This notice has been sent already.' })
        await o.recordAct(tx, { actor: by, act: 'notices.sent', subject: { kind: 'notice', id: noticeId } })
      })
      return await get(noticeId)
    },

    async work() {
      if (!letters.sends() || (await letters.waiting()) >= MAX_WAITING) return false
      return await database.transaction(async (tx) => {
        // Whoever has the row writes its letters; another process finds nothing to do.
        const { rows } = await sql<Row>`select notice_id, affected_id, sealed from guard.notice
          where state = 'sending' order by number limit 1 for update skip locked`.execute(tx)
        const row = rows[0]
        if (!row) return false
        const list = await o.affected.get(row.affected_id)
        const content = contentOf(row)
        const { rows: next } = await unwritten(tx, row.affected_id, STEP)
        for (const person of next) {
          const lines = await write(list, content, person)
          await sql`insert into guard.notice_letter (affected_id, account_id, notice_id, outcome)
            values (${row.affected_id}, ${person.account_id}, ${row.notice_id}, ${lines ? 'written' : 'gone'})`.execute(
            tx,
          )
          if (lines) await letters.enqueue(tx, person.account_id, lines)
        }
        if (next.length === STEP) return true
        await sql`update guard.notice set state = 'sent' where notice_id = ${row.notice_id}`.execute(tx)
        return false
      })
    },
  }
}

function checkLocale(locale: string): string {
  try {
    const [supported] = Intl.DateTimeFormat.supportedLocalesOf(locale)
    if (supported) return supported
  } catch {
    // Said below.
  }
  throw new AppError('invalid_request', { message: 'The locale is a language tag such as en, de or fr-CA.' })
}

/** What people typed stays within its line. */
function oneLine(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ').trim()
}
