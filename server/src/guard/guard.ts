import type { Clock, Database, Log } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import { createAnchoring } from './anchoring.ts'
import { createAudit } from './audit.ts'
import type { Audit, AuditAnchor } from './audit-face.ts'

const ANCHOR_EVERY_MS = 5_000

export interface Guard {
  readonly audit: Audit
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
}

export function createGuard({ database, keys, clock, log, anchor }: GuardOptions): Guard {
  const audit = createAudit({ database, keys, clock, anchor })
  const anchoring = anchor && createAnchoring({ database, anchor, log })
  let intact = true
  let timer: NodeJS.Timeout | undefined
  let round: Promise<void> = Promise.resolve()
  let closed = false

  async function anchorNow(): Promise<void> {
    try {
      intact = (await anchoring?.tick()) ?? true
    } catch (error) {
      log.warn('noting the end of the audit log failed; the next round tries again', { error })
    }
  }

  function run(): void {
    round = anchorNow().finally(() => {
      if (!closed) timer = setTimeout(run, ANCHOR_EVERY_MS).unref()
    })
  }

  return {
    audit,
    async start() {
      if (anchoring) run()
    },
    async close() {
      closed = true
      clearTimeout(timer)
      await round
      // What was recorded last is noted, too.
      if (anchoring) await anchorNow()
    },
    stats: () => ({ guard_audit_intact: Number(intact) }),
  }
}
