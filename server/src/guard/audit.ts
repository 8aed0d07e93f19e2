import { type Act, AppError, type Clock, type Database, isAppError, type Tx } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import { createAuditChain, fromNote, same, toNote } from './audit-chain.ts'
import type { Anchored, Audit, AuditAnchor, AuditEntry, AuditProblem, AuditVerdict } from './audit-face.ts'
import type { GuardTables } from './tables.ts'

const HOUR_MS = 3_600_000
const MAX_PAGE = 200
const READ_AT_ONCE = 1_000
const SHOWN_PROBLEMS = 20
/** What is sealed has a length in steps of this: which act it was must not be told by its length. */
const STEP_BYTES = 512
const MAX_BYTES = 16 * STEP_BYTES
const NAME = /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$/
const NO_MAC = Buffer.alloc(32)

const entryPlace = (seq: number) => place('guard.audit', String(seq))

export function createAudit(o: {
  database: Database
  keys: Keys
  clock: Clock
  anchor?: AuditAnchor | undefined
}): Audit {
  const tables = o.database.queries.withTables<GuardTables>()
  const sealing = o.keys.purpose('guard.audit')
  const chain = createAuditChain(o.keys.purpose('guard.audit.chain'))

  async function lockHead(tx: Tx): Promise<Anchored> {
    return await tx
      .withTables<GuardTables>()
      .selectFrom('guard.audit_head')
      .select(['seq', 'mac'])
      .forUpdate()
      .executeTakeFirstOrThrow()
  }

  function open(seq: number, sealed: Buffer): AuditEntry {
    try {
      return { seq, content: JSON.parse(sealing.unseal(entryPlace(seq), sealed).toString('utf8')) }
    } catch (error) {
      if (isAppError(error, 'integrity_failed')) return { seq }
      throw error
    }
  }

  /** All of them, in order. */
  async function* entries(tx: Tx) {
    for (let after = 0; ; ) {
      const rows = await tx
        .withTables<GuardTables>()
        .selectFrom('guard.audit')
        .select(['seq', 'sealed', 'mac'])
        .where('seq', '>', after)
        .orderBy('seq')
        .limit(READ_AT_ONCE)
        .execute()
      yield* rows
      if (rows.length < READ_AT_ONCE) return
      after = (rows.at(-1) as { seq: number }).seq
    }
  }

  async function verifyWithin(
    tx: Tx,
    known: Anchored[],
  ): Promise<Omit<AuditVerdict, 'intact' | 'anchoredSeq'>> {
    const head = await tx
      .withTables<GuardTables>()
      .selectFrom('guard.audit_head')
      .select(['seq', 'mac'])
      .executeTakeFirst()
    const problems: AuditProblem[] = []
    let count = 0
    let last: Anchored = { seq: 0, mac: NO_MAC }
    const found = (problem: AuditProblem) => problems.length < SHOWN_PROBLEMS && problems.push(problem)
    const expect = (next: number) => {
      if (last.seq + 1 < next) found({ seq: last.seq + 1, kind: 'missing', count: next - last.seq - 1 })
    }
    for await (const entry of entries(tx)) {
      expect(entry.seq)
      // Behind a gap the MAC before is not known: the gap itself is what is reported.
      const follows = last.seq + 1 !== entry.seq || chain.isRight(last.mac, entry)
      if (!follows || !open(entry.seq, entry.sealed).content) found({ seq: entry.seq, kind: 'changed' })
      const seen = known.find(({ seq }) => seq === entry.seq)
      if (seen && !same(seen.mac, entry.mac)) found({ seq: entry.seq, kind: 'rewritten' })
      last = { seq: entry.seq, mac: entry.mac }
      count++
    }
    expect(1 + Math.max(head?.seq ?? 1, ...known.map(({ seq }) => seq)))
    if (head && head.seq < last.seq) found({ seq: head.seq, kind: 'rewritten' })
    return { entries: count, problems, head: toNote(last) }
  }

  return {
    async record(tx, act) {
      const plain = plainOf(act, o.clock.nowMs())
      const head = await lockHead(tx)
      const seq = head.seq + 1
      const sealed = sealing.seal(entryPlace(seq), plain)
      const mac = chain.mac(head.mac, seq, sealed)
      const within = tx.withTables<GuardTables>()
      const hour = new Date(Math.floor(o.clock.nowMs() / HOUR_MS) * HOUR_MS)
      await within.insertInto('guard.audit').values({ seq, hour, sealed, mac }).execute()
      await within.updateTable('guard.audit_head').set({ seq, mac }).execute()
    },

    async page({ before, limit }) {
      if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
        throw new AppError('invalid_request', { message: `limit must be from 1 to ${MAX_PAGE}.` })
      }
      let query = tables
        .selectFrom('guard.audit')
        .select(['seq', 'sealed'])
        .orderBy('seq', 'desc')
        .limit(limit + 1)
      if (before !== undefined) query = query.where('seq', '<', before)
      const rows = await query.execute()
      const shown = rows.slice(0, limit).map(({ seq, sealed }) => open(seq, sealed))
      return rows.length > limit ? { entries: shown, next: shown.at(-1)?.seq } : { entries: shown }
    },

    async verify(noted) {
      const anchored = await o.anchor?.read()
      const known = [anchored, noted === undefined ? undefined : fromNote(noted)].filter((each) => !!each)
      // One snapshot: what is written meanwhile is no concern of this reading.
      const verdict = await o.database.queries
        .transaction()
        .setIsolationLevel('repeatable read')
        .execute((tx) => verifyWithin(tx, known))
      const { problems } = verdict
      return { ...verdict, intact: problems.length === 0, ...(anchored && { anchoredSeq: anchored.seq }) }
    },
  }
}

/** @throws AppError internal: who wrote the call has made a mistake */
function plainOf({ actor, act, subject, details }: Act, atMs: number): string {
  const text = JSON.stringify({ actor, act, subject, details, atMs })
  const sizeBytes = Buffer.byteLength(text)
  if (!NAME.test(act) || !NAME.test(subject.kind) || sizeBytes > MAX_BYTES) {
    throw new AppError('internal', { detail: `an act that the audit log does not take: ${act}` })
  }
  return text + ' '.repeat((STEP_BYTES - (sizeBytes % STEP_BYTES)) % STEP_BYTES)
}
