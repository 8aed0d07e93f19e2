import type { GuardOptions } from '../guard/index.ts'
import type { Insight } from '../insight/index.ts'

/** A pseudonym that is tried somewhere: the copy is the store that somebody has. */
export function recogniseCopy(
  insight: () => Pick<Insight, 'recognise'>,
): NonNullable<GuardOptions['recogniseCopy']> {
  return async (text) => {
    const copy = await insight().recognise(text)
    return copy && { storeKey: `feed:${copy.copyId}`, name: `copy ${copy.name}`, plantedAtMs: copy.madeAtMs }
  }
}
