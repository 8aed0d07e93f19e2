import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import type { Clock, Database, Log, Secret, Tx } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import { paddedJson, parseJson } from './padded-json.ts'
import type { GuardTables } from './tables.ts'
import { signedHeaders, webhookKey } from './webhook-signature.ts'

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
/** After each failure; from the last on it stays. */
const PAUSES_MS = [5 * SECOND_MS, 15 * SECOND_MS, MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, 60 * MINUTE_MS]
/** What was not taken in so many attempts (over a day) is old: whoever is still to be paged is called anew meanwhile. */
const MAX_ATTEMPTS = 30
const ANSWER_MS = 10 * SECOND_MS

export interface WebhookOptions {
  /** HTTPS, or HTTP on loopback. */
  url: Secret
  secret: Secret
}

/** Calls the operators' webhook: signed, durable, in order of their time, each until it was answered with 2xx. */
export interface Webhook {
  enqueue(tx: Tx, payload: object): Promise<void>
  /** Sends what is due. Each call is locked while it is under way, so that processes share them. */
  sendDue(): Promise<void>
  stats(): Record<string, number>
}

const callPlace = (callId: string) => place('guard.webhook', callId)

export function createWebhook(
  o: { database: Database; keys: Keys; clock: Clock; log: Log; signal: AbortSignal } & WebhookOptions,
): Webhook {
  const key = webhookKey(o.secret)
  const sealing = o.keys.purpose('guard.webhook')
  const counts = { sent: 0, failed: 0, givenUp: 0 }

  async function call(id: string, body: string): Promise<string | undefined> {
    try {
      const response = await fetch(o.url.reveal(), {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'user-agent': 'hearthlock-guard',
          ...signedHeaders({ key, id, body, nowMs: o.clock.nowMs() }),
        },
        body,
        // Somewhere else is not where operators said; what it would answer is not read either.
        redirect: 'manual',
        signal: AbortSignal.any([AbortSignal.timeout(ANSWER_MS), o.signal]),
      })
      await response.body?.cancel()
      return response.ok ? undefined : `status ${response.status}`
    } catch (error) {
      const { cause, name } = error as { cause?: { code?: unknown }; name?: string }
      return typeof cause?.code === 'string' ? cause.code : (name ?? 'failed')
    }
  }

  /** @returns false when nothing is due */
  function sendOne(): Promise<boolean> {
    return o.database.transaction(async (tx) => {
      const tables = tx.withTables<GuardTables>()
      const row = await tables
        .selectFrom('guard.webhook')
        .selectAll()
        .where('due', '<=', new Date(o.clock.nowMs()))
        .orderBy('due')
        .limit(1)
        .forUpdate()
        .skipLocked()
        .executeTakeFirst()
      if (!row) return false
      const body = JSON.stringify(parseJson(sealing.unseal(callPlace(row.call_id), row.sealed)))
      const failure = await call(row.call_id, body)
      // Closing: it stays due for whoever starts next.
      if (failure !== undefined && o.signal.aborted) return false
      const attempts = row.attempts + 1
      if (failure === undefined || attempts >= MAX_ATTEMPTS) {
        await tables.deleteFrom('guard.webhook').where('call_id', '=', row.call_id).execute()
      } else {
        const pauseMs = PAUSES_MS[Math.min(row.attempts, PAUSES_MS.length - 1)] as number
        await tables
          .updateTable('guard.webhook')
          .set({ attempts: sql<number>`attempts + 1`, due: new Date(o.clock.nowMs() + pauseMs) })
          .where('call_id', '=', row.call_id)
          .execute()
      }
      if (failure === undefined) counts.sent++
      else {
        counts.failed++
        if (attempts >= MAX_ATTEMPTS) counts.givenUp++
        o.log.warn('the webhook did not take a page', { callId: row.call_id, attempts, failure })
      }
      return true
    })
  }

  return {
    async enqueue(tx, payload) {
      const callId = randomUUID()
      await tx
        .withTables<GuardTables>()
        .insertInto('guard.webhook')
        .values({
          call_id: callId,
          due: new Date(o.clock.nowMs()),
          sealed: sealing.seal(callPlace(callId), paddedJson(payload, 2048)),
        })
        .execute()
    },
    async sendDue() {
      while (!o.signal.aborted && (await sendOne()));
    },
    stats: () => ({
      guard_webhook_sent_total: counts.sent,
      guard_webhook_failed_total: counts.failed,
      guard_webhook_given_up_total: counts.givenUp,
    }),
  }
}
