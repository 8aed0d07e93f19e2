import { type AccountId, type Clock, type Database, isId, newId, type Tx } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import type { Notice, NoticeKind } from './account-face.ts'
import type { IdentityTables } from './tables.ts'

const HOUR_MS = 3_600_000
const KEPT_MS = 30 * 24 * HOUR_MS
const SHOWN = 20

export interface Notices {
  add(tx: Tx, accountId: AccountId, kind: NoticeKind): Promise<void>
  newest(accountId: AccountId): Promise<Notice[]>
  /** What somebody has answered need not be shown any longer. */
  removeKind(tx: Tx, accountId: AccountId, kind: NoticeKind): Promise<void>
  dismiss(accountId: AccountId, noticeId: string): Promise<void>
  sweep(): Promise<void>
}

/** What is sealed has one length, so that a copy does not tell which of them was recovered. */
const SEALED_CHARACTERS = 64

export function createNotices(o: { database: Database; keys: Keys; clock: Clock }): Notices {
  const tables = o.database.queries.withTables<IdentityTables>()
  const sealing = o.keys.purpose('identity.notice')
  const where = (noticeId: string, accountId: AccountId) => place('identity.notice', noticeId, accountId)

  async function newest(accountId: AccountId, tx?: Tx): Promise<Notice[]> {
    const rows = await (tx?.withTables<IdentityTables>() ?? tables)
      .selectFrom('identity.notice')
      .select(['notice_id', 'sealed'])
      .where('account_id', '=', accountId)
      .orderBy('hour', 'desc')
      .limit(SHOWN)
      .execute()
    return rows
      .map(({ notice_id: noticeId, sealed }) => {
        const text = sealing.unseal(where(noticeId, accountId), sealed).toString()
        return { noticeId, ...(JSON.parse(text) as Pick<Notice, 'kind' | 'atMs'>) }
      })
      .sort((a, b) => b.atMs - a.atMs)
  }

  return {
    async add(tx, accountId, kind) {
      const noticeId: string = newId<never>()
      const atMs = o.clock.nowMs()
      const text = JSON.stringify({ kind, atMs }).padEnd(SEALED_CHARACTERS)
      await tx
        .withTables<IdentityTables>()
        .insertInto('identity.notice')
        .values({
          notice_id: noticeId,
          account_id: accountId,
          hour: new Date(atMs - (atMs % HOUR_MS)),
          sealed: sealing.seal(where(noticeId, accountId), text),
        })
        .execute()
    },

    newest: (accountId) => newest(accountId),

    async removeKind(tx, accountId, kind) {
      const answered = (await newest(accountId, tx)).filter((notice) => notice.kind === kind)
      for (const { noticeId } of answered) {
        await tx
          .withTables<IdentityTables>()
          .deleteFrom('identity.notice')
          .where('notice_id', '=', noticeId)
          .execute()
      }
    },

    async dismiss(accountId, noticeId) {
      if (!isId(noticeId)) return
      await tables
        .deleteFrom('identity.notice')
        .where('notice_id', '=', noticeId)
        .where('account_id', '=', accountId)
        .execute()
    },

    async sweep() {
      await tables
        .deleteFrom('identity.notice')
        .where('hour', '<', new Date(o.clock.nowMs() - KEPT_MS))
        .execute()
    },
  }
}
