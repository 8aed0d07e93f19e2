import { AppError } from '../core/index.ts'
import type { Identity, IdentityOptions } from './face.ts'

export function createIdentity(_options: IdentityOptions): Identity {
  throw new AppError('unavailable')
}
