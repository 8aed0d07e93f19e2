import type { AccountId, Clock, Database, Log, RecordAct } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import { createAffected } from './affected.ts'
import type { Affected, AffectedParts } from './affected-face.ts'
import { createLoop } from './loop.ts'
import type { NoticeParts, Notices } from './notice-face.ts'
import { createNotices } from './notices.ts'
import { draftReport, type IncidentFacts, type RegulatorReport, type ReportKind } from './regulator-report.ts'

/** What is known of a finding, as reports tell it. */
export interface FindingFacts {
  evidence: string
  openedAtMs: number
  shutAtMs?: number | undefined
  cut: readonly string[]
  acknowledged?: { atMs: number } | undefined
  closed?: { atMs: number } | undefined
}

export interface ExposureParts extends AffectedParts, NoticeParts {
  /** What a store is for, in a few words. */
  holds(store: string): Promise<string>
  /** @throws AppError not_found */
  finding(findingId: number): Promise<FindingFacts>
  resets(): Promise<readonly { scope: string; store?: string | undefined; voidAtMs?: number | undefined }[]>
}

/** When a store has stood open: whom it touches, letters to them, and what authorities have to be told. */
export interface Exposures {
  readonly affected: Affected
  readonly notices: Omit<Notices, 'work'>
  /** A draft, from what is known now. @throws AppError not_found */
  report(affectedId: string, kind: ReportKind, by: AccountId): Promise<RegulatorReport>
  start(): void
  close(): Promise<void>
}

const WORK_EVERY_MS = 1_000

export function createExposures(
  o: ExposureParts & {
    database: Database
    keys: Pick<Keys, 'purpose'>
    clock: Clock
    log: Log
    recordAct: RecordAct
  },
): Exposures {
  const affected = createAffected(o)
  const notices = createNotices({ ...o, affected })
  const writing = createLoop({
    everyMs: WORK_EVERY_MS,
    what: 'writing notices',
    log: o.log,
    work: async () => {
      while (!closed && (await notices.work())) {}
    },
  })
  let closed = false

  async function facts(affectedId: string): Promise<IncidentFacts> {
    const list = await affected.get(affectedId)
    const finding = list.findingId === undefined ? undefined : await o.finding(list.findingId)
    const awareAtMs = finding?.openedAtMs ?? list.madeAtMs
    const measures = finding ? findingMeasures(finding) : []
    for (const { scope, store, voidAtMs } of await o.resets()) {
      if (voidAtMs === undefined || voidAtMs < awareAtMs || (store !== undefined && store !== list.store))
        continue
      measures.push({
        atMs: voidAtMs,
        what: `every token and session issued before was made void (scope: ${scope})`,
      })
    }
    const written = (await notices.list()).filter((notice) => notice.affectedId === affectedId)
    const sum = (of: 'written' | 'waiting') => written.reduce((all, notice) => all + notice[of], 0)
    return {
      store: { name: list.store, holds: await o.holds(list.store) },
      awareAtMs,
      exposedFromMs: list.fromMs > 0 ? list.fromMs : undefined,
      exposedUntilMs: finding ? finding.shutAtMs : list.toMs,
      evidence: finding?.evidence,
      affected: {
        people: list.people,
        households: list.households,
        devices: list.devices,
        fields: list.fields.map(({ name }) => name),
      },
      measures: measures.sort((one, other) => one.atMs - other.atMs),
      ...(sum('written') > 0 && {
        notices: { sent: sum('written') - sum('waiting'), waiting: sum('waiting') },
      }),
    }
  }

  return {
    affected,
    notices,

    async report(affectedId, kind, by) {
      const report = draftReport(kind, await facts(affectedId))
      await o.database.transaction((tx) =>
        o.recordAct(tx, {
          actor: by,
          act: 'affected.reported',
          subject: { kind: 'affected', id: affectedId },
          details: { kind },
        }),
      )
      return report
    },

    start: writing.start,
    async close() {
      closed = true
      await writing.close()
    },
  }
}

function findingMeasures({ openedAtMs, cut, acknowledged, shutAtMs, closed }: FindingFacts) {
  const measures = []
  if (cut.length > 0) {
    measures.push({ atMs: openedAtMs, what: `what was fed into it was cut (${cut.join(', ')})` })
  }
  if (acknowledged) measures.push({ atMs: acknowledged.atMs, what: 'a security officer took it up' })
  if (shutAtMs !== undefined) {
    measures.push({ atMs: shutAtMs, what: 'the store was proved to be shut to strangers again' })
  }
  if (closed) measures.push({ atMs: closed.atMs, what: 'a security officer closed the finding' })
  return measures
}
