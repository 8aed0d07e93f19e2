import { AppError } from '../core/index.ts'
import type { DeviceReach, ResetRequest, SignInReach } from './reset-face.ts'

/** Whom and what a reset reaches. */
export interface Reach {
  signIns: SignInReach | undefined
  devices: DeviceReach
}

/** @throws AppError invalid_request where the request does not say what to reset, or says it twice */
export function reachOf({ scope, householdId, store }: ResetRequest): Reach {
  const listed = scope === 'household' || store !== undefined
  if ((scope === 'household') !== (householdId !== undefined)) {
    throw invalid('A household is named with the scope household, and only with it.')
  }
  if (scope === 'household' && store !== undefined) {
    throw invalid('A household is reset whole: it is not narrowed to a store.')
  }
  switch (scope) {
    case 'integrations':
      throw invalid('This version has no integrations: there is nothing to reset.')
    case 'devices':
      return { signIns: undefined, devices: { devices: true, codes: false, listed } }
    case 'customers':
      return { signIns: listed ? 'listed' : 'customers', devices: { devices: false, codes: true, listed } }
    default:
      return { signIns: listed ? 'listed' : 'everybody', devices: { devices: true, codes: true, listed } }
  }
}

function invalid(message: string): AppError {
  return new AppError('invalid_request', { message })
}
