import type { AccountId, Clock, Database, Tx } from '../core/index.ts'
import type { Finding } from './finding-face.ts'
import type { FindingTable } from './finding-table.ts'
import { nextSteps, whatWasFound } from './finding-text.ts'
import type { GuardTables } from './tables.ts'
import type { Webhook } from './webhook.ts'

const MINUTE_MS = 60_000
/** Until somebody acknowledges it, people are paged again after these; from the last on it stays. */
const AGAIN_MS = [5 * MINUTE_MS, 15 * MINUTE_MS, 30 * MINUTE_MS, 60 * MINUTE_MS]

/** A letter to a security officer; a function of the room `mail`. */
export type SendPage = (
  tx: Tx,
  o: { to: AccountId; finding: Finding; what: string; steps: string[] },
) => Promise<void>

/** Calls people, by each way on its own: one that hangs or fails holds up none of the others. */
export interface Pager {
  /** Pages whom it is time to. */
  byWebhook(): Promise<void>
  byMail(): Promise<void>
  stats(): Record<string, number>
}

type Way = keyof Finding['pages']

export function createPager(o: {
  database: Database
  table: FindingTable
  clock: Clock
  webhook: Webhook | undefined
  securityOfficers: () => Promise<AccountId[]>
  sendPage: SendPage
}): Pager {
  const { database, table, clock, webhook } = o
  const counts: Finding['pages'] = { webhook: 0, mail: 0 }

  /** Takes one finding that is due by this way, and says when it is due again, all in one transaction. */
  function pageOne(way: Way, page: (tx: Tx, finding: Finding) => Promise<void>): Promise<boolean> {
    return database.transaction(async (tx) => {
      const tables = tx.withTables<GuardTables>()
      const row = await tables
        .selectFrom('guard.finding')
        .select('finding_id')
        .where(`${way}_due`, '<=', new Date(clock.nowMs()))
        .orderBy('finding_id')
        .limit(1)
        .forUpdate()
        .skipLocked()
        .executeTakeFirst()
      const finding = row && (await table.find(row.finding_id, tx))
      if (!finding) return false
      await page(tx, finding)
      const againMs = AGAIN_MS[Math.min(finding.pages[way], AGAIN_MS.length - 1)] as number
      const pages = { ...finding.pages, [way]: finding.pages[way] + 1 }
      await table.update(tx, { ...finding, pages })
      await tables
        .updateTable('guard.finding')
        .set({ [`${way}_due`]: new Date(clock.nowMs() + againMs) })
        .where('finding_id', '=', finding.findingId)
        .execute()
      counts[way]++
      return true
    })
  }

  return {
    async byWebhook() {
      if (!webhook) return
      while (await pageOne('webhook', (tx, finding) => webhook.enqueue(tx, payloadOf(finding))));
      await webhook.sendDue()
    },
    async byMail() {
      const send = async (tx: Tx, finding: Finding) => {
        const about = { finding, what: whatWasFound(finding), steps: nextSteps(finding) }
        for (const to of await o.securityOfficers()) await o.sendPage(tx, { to, ...about })
      }
      while (await pageOne('mail', send));
    },
    stats: () => ({
      guard_pages_by_webhook_total: counts.webhook,
      guard_pages_by_mail_total: counts.mail,
      ...webhook?.stats(),
    }),
  }
}

/** What leaves by the webhook: names of stores, counts and commands; nobody's data. */
function payloadOf(finding: Finding): object {
  const { findingId, kind, state, name, address, evidence, openedAtMs, cut, pages } = finding
  return {
    type: 'guard.finding',
    timestamp: new Date(openedAtMs).toISOString(),
    data: {
      findingId,
      kind,
      state,
      what: whatWasFound(finding),
      store: name,
      address,
      evidence,
      feedsCut: cut,
      page: pages.webhook + 1,
      nextSteps: nextSteps(finding),
    },
  }
}
