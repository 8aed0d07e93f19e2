import type { AccountId, Clock, Database, Log } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import { createAnchoring } from './anchoring.ts'
import { createAudit } from './audit.ts'
import type { Audit, AuditAnchor } from './audit-face.ts'
import { type Canaries, createCanaries, type Sighting } from './canaries.ts'
import { type CanaryFileOptions, createCanaryFile } from './canary-file.ts'
import { createCanaryMarks } from './canary-marks.ts'
import { createDeadMan } from './dead-man.ts'
import type { Findings } from './finding-face.ts'
import { createFindingTable } from './finding-table.ts'
import { createFindings } from './findings.ts'
import { createInventory, type Feeds, noFeeds } from './inventory.ts'
import { createLoop } from './loop.ts'
import { createPager, type SendPage } from './pager.ts'
import { createSchedule, type Intervals } from './schedule.ts'
import { createStores, type Stores } from './stores.ts'
import { createStranger, type Look } from './stranger.ts'
import { createVerdicts } from './verdicts.ts'
import { createWatch, type WatchedStore } from './watch.ts'
import { createWatchTurn } from './watch-turn.ts'
import type { Watched } from './watched.ts'
import { createWebhook, type WebhookOptions } from './webhook.ts'

const ANCHOR_EVERY_MS = 5_000
const ROUND_EVERY_MS = 250
const PAGE_EVERY_MS = 1_000
const CHECK_EVERY_MS = 10_000
/** A file that could not be written, or whose day is over. */
const PLANT_EVERY_MS = 60_000

export interface Guard {
  readonly audit: Audit
  readonly stores: Pick<Stores, 'add' | 'remove'> & {
    /** Everything that is watched, and how it last answered. */
    all(): Promise<WatchedStore[]>
    /** Looks at everything that this process can see, now. */
    lookNow(): Promise<WatchedStore[]>
  }
  readonly findings: Findings
  readonly canaries: Pick<Canaries, 'presented' | 'devices'>
  /** Whether anybody is called at all. */
  readonly pages: boolean
  /** @throws AppError start_refused: the webhook's secret is none */
  start(): Promise<void>
  close(): Promise<void>
  stats(): Record<string, number>
}

export interface GuardOptions {
  database: Database
  keys: Keys
  clock: Clock
  log: Log
  /** Without one, the end of the audit log can be cut off unseen by who can write to the database. */
  anchor?: AuditAnchor | undefined
  /** What the running system knows of itself. */
  own?: (() => Watched[]) | undefined
  feeds?: Feeds | undefined
  intervals?: Intervals | undefined
  webhook?: WebhookOptions | undefined
  /** Letters to security officers; `sends` false: there is no mail server. */
  mail?: { sends: () => boolean; send: SendPage; securityOfficers: () => Promise<AccountId[]> } | undefined
  /** Canaries beside the data; none without it. */
  canaryFile?: CanaryFileOptions | undefined
  /** Whether a text is a pseudonym of a copy's. */
  recogniseCopy?: ((text: string) => Promise<Sighting | undefined>) | undefined
  /** Asks a store as a stranger; the probes, unless a test has another stranger. */
  look?: Look | undefined
}

const usualIntervals: Intervals = { fedMs: 5_000, otherMs: 120_000 }

export function createGuard(options: GuardOptions): Guard {
  const { database, keys, clock, log, anchor, mail, intervals = usualIntervals } = options
  const audit = createAudit({ database, keys, clock, anchor })
  const recordAct = audit.record
  const stores = createStores({ database, keys, clock, recordAct })
  const feeds = options.feeds ?? noFeeds
  const inventory = createInventory({ stores, feeds, own: options.own ?? (() => []) })
  const table = createFindingTable({ database, keys })
  const stop = new AbortController()
  const webhook =
    options.webhook && createWebhook({ database, keys, clock, log, signal: stop.signal, ...options.webhook })
  const pager = createPager({
    database,
    table,
    clock,
    webhook,
    securityOfficers: mail?.securityOfficers ?? (async () => []),
    sendPage: mail?.send ?? (async () => {}),
  })
  const onDue = () => {
    for (const loop of pageLoops) loop.kick()
  }
  const findings = createFindings({ database, table, inventory, feeds, recordAct, clock, log, onDue })
  const marks = createCanaryMarks({ keys })
  const { recogniseCopy } = options
  const canaries = createCanaries({ marks, findings, recogniseCopy, clock, log })
  const canaryFile = options.canaryFile && createCanaryFile({ ...options.canaryFile, marks, clock })
  const turn = createWatchTurn({ database })
  const watch = createWatch({
    inventory,
    schedule: createSchedule({ intervals }),
    turn,
    verdicts: createVerdicts({ database, keys }),
    findings,
    look: options.look ?? createStranger({ clock }),
    clock,
    log,
  })
  const anchoring = anchor && createAnchoring({ database, anchor, log })
  const deadMan = createDeadMan({ turn, findings, intervals, clock })
  let intact = true
  let counts = { open: 0, unacknowledged: 0 }

  async function anchorNow(): Promise<void> {
    const was = intact
    intact = (await anchoring?.tick()) ?? true
    if (intact && was) return
    const at = { storeKey: 'own:audit', kind: 'audit' as const }
    if (intact) await findings.shut(at.storeKey, at.kind)
    else {
      const evidence = 'the entry that was noted outside of the database is gone, or another one'
      await findings.raise({ ...at, name: 'the audit log', address: 'this installation', evidence })
    }
  }

  const pageLoops = [
    createLoop({ everyMs: PAGE_EVERY_MS, what: 'paging by the webhook', log, work: pager.byWebhook }),
    createLoop({ everyMs: PAGE_EVERY_MS, what: 'paging by mail', log, work: pager.byMail }),
  ]
  const checkLoop = createLoop({
    everyMs: CHECK_EVERY_MS,
    what: 'checking that stores are looked at',
    log,
    async work() {
      await deadMan.check()
      counts = await table.counts()
    },
  })
  const loops = [
    createLoop({ everyMs: ANCHOR_EVERY_MS, what: 'noting the end of the audit log', log, work: anchorNow }),
    createLoop({ everyMs: ROUND_EVERY_MS, what: 'looking at the stores', log, work: watch.round }),
    checkLoop,
    createLoop({
      everyMs: PLANT_EVERY_MS,
      what: 'planting canaries',
      log,
      work: async () => canaryFile?.plant(),
    }),
    ...pageLoops,
  ]

  return {
    audit,
    stores: { add: stores.add, remove: stores.remove, all: watch.stores, lookNow: watch.lookNow },
    findings,
    canaries,
    get pages() {
      return webhook !== undefined || (mail?.sends() ?? false)
    },
    async start() {
      for (const loop of loops) loop.start()
    },
    async close() {
      stop.abort()
      await Promise.all(loops.map((loop) => loop.close()))
      await watch.close()
      await canaries.close()
      // What was recorded last is noted, too.
      await anchorNow().catch((error) => log.warn('the end of the audit log was not noted', { error }))
    },
    stats: () => ({
      guard_audit_intact: Number(intact),
      guard_findings_open: counts.open,
      guard_findings_unacknowledged: counts.unacknowledged,
      ...canaries.stats(),
      ...watch.stats(),
      ...deadMan.stats(),
      ...pager.stats(),
    }),
  }
}
