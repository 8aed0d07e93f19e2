import { isAppError } from '../core/index.ts'
import type { ExposureParts, Findings, NoticeParts, Reset } from '../guard/index.ts'
import type { Insight } from '../insight/index.ts'
import type { Mail } from '../mail/index.ts'
import type { Registry } from '../registry/index.ts'
import type { Vault } from '../vault/index.ts'

/** What the guard asks of the other rooms when a store has stood open. */
export function exposureParts(o: {
  insight: Pick<Insight, 'copy' | 'ledger'>
  registry: Pick<Registry, 'present'>
  vault: Pick<Vault, 'read'>
  mail: Pick<Mail, 'sends' | 'enqueue' | 'backlog'>
  findings: Pick<Findings, 'get'>
  reset: Pick<Reset, 'list'>
}): ExposureParts {
  const { insight } = o
  return {
    async touched({ store, toMs }) {
      const { copyId } = await insight.copy(store)
      // What went in before the window is still in there.
      return await insight.ledger.touched(copyId, 0, toMs)
    },
    present: o.registry.present,
    async holds(store) {
      const { fields, grain } = await insight.copy(store)
      return `a copy for analysts, under pseudonyms of its own, with ${fields.length} fields and times to the ${grain}`
    },
    finding: o.findings.get,
    resets: o.reset.list,
    ...noticeParts(o),
  }
}

/** Who people are, and how they are written to. */
export function noticeParts({
  vault,
  mail,
}: {
  vault: Pick<Vault, 'read'>
  mail: Pick<Mail, 'sends' | 'enqueue' | 'backlog'>
}): NoticeParts {
  return {
    async person(accountId) {
      try {
        return await vault.read(accountId)
      } catch (error) {
        if (isAppError(error, 'not_found')) return undefined
        throw error
      }
    },
    letters: {
      sends: () => mail.sends,
      waiting: mail.backlog,
      enqueue: (tx, to, lines) =>
        mail.enqueue(tx, { to, letter: { kind: 'incident_notice', lines: JSON.stringify(lines) } }),
    },
  }
}
