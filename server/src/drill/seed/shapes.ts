import type { Client, SessionStore } from '../../client/index.ts'
import type { Secret } from '../../core/index.ts'

/** A credential that was good once and must not be again. */
export interface Spent {
  what: string
  kind:
    | 'access token'
    | 'refresh token'
    | 'invitation'
    | 'transfer code'
    | 'claim code'
    | 'mailed code'
    | 'support code'
  value: Secret
}

export interface Owner {
  client: Client
  store: SessionStore
  householdId: string
}

/** As the factory is given it. */
export interface Provisioned {
  deviceId: string
  certificate: string
  privateKey?: string
  claimCode: string
  password?: string
}
