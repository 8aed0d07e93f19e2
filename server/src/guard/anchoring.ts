import type { Database, Log } from '../core/index.ts'
import { same } from './audit-chain.ts'
import type { AuditAnchor } from './audit-face.ts'
import type { GuardTables } from './tables.ts'

/**
 * Notes the log's newest entry outside of the database, every few seconds, after it has looked that the one noted before is
 * still there. Whoever can write to the database alone can then cut off no more than what was written since.
 */
export interface Anchoring {
  /** @returns false when the entry that was noted is gone, or another one; the note then stays as it is */
  tick(): Promise<boolean>
}

export function createAnchoring(o: { database: Database; anchor: AuditAnchor; log: Log }): Anchoring {
  const tables = o.database.queries.withTables<GuardTables>()
  let told = false

  return {
    async tick() {
      const anchored = await o.anchor.read()
      if (anchored && anchored.seq > 0) {
        const entry = await tables
          .selectFrom('guard.audit')
          .select('mac')
          .where('seq', '=', anchored.seq)
          .executeTakeFirst()
        if (!entry || !same(entry.mac, anchored.mac)) {
          if (!told) {
            o.log.error('the audit log was cut or rewritten: hearthlock audit verify says where', {
              seq: anchored.seq,
            })
          }
          told = true
          return false
        }
      }
      told = false
      const head = await tables.selectFrom('guard.audit_head').select(['seq', 'mac']).executeTakeFirst()
      if (head && head.seq > (anchored?.seq ?? -1)) await o.anchor.write(head)
      return true
    },
  }
}
