import { A_DAY, kind } from './letter-kind.ts'

/** To security officers. Names of stores and commands; nothing of customers. */
export const guardLetters = {
  finding: kind<'number' | 'what' | 'store' | 'address' | 'evidence' | 'cut' | 'steps'>({
    subject: 'Hearthlock: something needs you now',
    usefulMinutes: A_DAY,
    text: ({ number, what, store, address, evidence, cut, steps }) => `${what}.

Finding:   ${number}
Store:     ${store}, ${address}
Evidence:  ${evidence}
Feeds cut: ${cut}

What to do:
${steps
  .split(STEP)
  .map((step, at) => `  ${at + 1}. ${step}`)
  .join('\n')}

You get this letter again until somebody acknowledges the finding. docs/guard.md tells more.`,
  }),
}

/** Between two steps: a letter's fields have one line each. */
export const STEP = ' ¶ '
