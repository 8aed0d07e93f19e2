import type { Checked, ModelDefinition } from './face.ts'
import type { MatterLibrary } from './matter-library.ts'
import type { Element } from './matter-payload.ts'
import { refuse } from './matter-payload.ts'

/** Matter core specification 11.1.6.3, "Leave": the node leaves the fabric, as in a reset to factory defaults. */
const LEAVE = 'BasicInformation.Leave'
const LEAVE_PATH = /^\d+\/BasicInformation\.Leave$/

/** Every device can tell that it was reset, whatever clusters its model names. */
export function leaveElement(library: MatterLibrary): [string, Element] {
  const checker = library.cluster('BasicInformation')?.events.get('Leave')
  if (!checker) throw new Error('this Matter library does not have BasicInformation.Leave')
  return [LEAVE, { path: `1/${LEAVE}`, accepts: checker.accepts, checker }]
}

/**
 * A reset ends a tenure: it comes alone, so that nothing else is recorded with it, and with an id, so that the same
 * one sent again (with a new packet identifier, in a later tenure) is known for what it is. Where the model demands it, it
 * brings the code that alone opens the next claim: the label's is known to former owners.
 */
export function checkLeave(checked: Checked, model: Pick<ModelDefinition, 'reset'>): Checked {
  if (!checked.ok) return checked
  if (!checked.paths.some((path) => LEAVE_PATH.test(path))) return withoutClaimCode(checked)
  if (checked.paths.length > 1) return refuse(`${LEAVE} comes alone in its message`)
  if (checked.messageId === undefined) {
    return refuse(
      `${LEAVE} comes with $id: a new random one for each reset, the same one when it is sent again`,
    )
  }
  if (model.reset === 'fresh-code' && !checked.claimCode) {
    return refuse(`${LEAVE} of this model comes with $claimCode: a new random one for each reset`)
  }
  return { ...checked, reset: true }
}

/** A code that comes with anything but a reset says nothing. */
export function withoutClaimCode(checked: Checked): Checked {
  return checked.ok && checked.claimCode ? refuse(`$claimCode comes with ${LEAVE} only`) : checked
}
