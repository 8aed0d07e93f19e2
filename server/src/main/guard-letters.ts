import type { GuardOptions } from '../guard/index.ts'
import type { Identity } from '../identity/index.ts'
import { type Mail, STEP } from '../mail/index.ts'

/** How the guard calls security officers by mail. */
export function guardLetters(o: {
  mail: () => Pick<Mail, 'enqueue' | 'sends'>
  identity: () => { operators: Pick<Identity['operators'], 'list'> }
}): NonNullable<GuardOptions['mail']> {
  return {
    sends: () => o.mail().sends,
    async securityOfficers() {
      const operators = await o.identity().operators.list()
      return operators.filter(({ roles }) => roles.includes('security')).map(({ accountId }) => accountId)
    },
    async send(tx, { to, finding, what, steps }) {
      const { findingId, name, address, evidence, cut } = finding
      const letter = {
        kind: 'finding' as const,
        number: String(findingId),
        what,
        store: name,
        address,
        evidence,
        cut: cut.join(', ') || 'none goes there',
        steps: steps.join(STEP),
      }
      await o.mail().enqueue(tx, { to, letter })
    },
  }
}
