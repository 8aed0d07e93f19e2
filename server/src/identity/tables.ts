import type { ColumnType } from 'kysely'
import type { AccountId } from '../core/index.ts'
import type { AccountKind, OperatorRole } from './face.ts'

type Set<Read, Write> = ColumnType<Read, Write, Write>
/** In which it was issued: the database's default. */
type Epoch = ColumnType<number, number | undefined, number>

// A type, not an interface: Kysely's `withTables` wants an index signature.
export type IdentityTables = {
  'identity.account': {
    account_id: AccountId
    kind: AccountKind
    roles: Set<OperatorRole[], OperatorRole[]>
    sealed_password: Set<Buffer | null, Buffer | null>
    sign_ins_from: ColumnType<Buffer | null, Buffer | null | undefined, Buffer | null>
  }
  'identity.artifact': {
    model: string
    id_digest: Buffer
    uid_digest: Buffer | null
    user_code_digest: Buffer | null
    grant_digest: Buffer | null
    sealed: Buffer
    consumed_at: Set<Date | null, Date | null>
    expires_at: Date
    epoch: Epoch
  }
  'identity.passkey': {
    passkey_id: string
    account_id: AccountId
    credential_digest: Buffer
    sealed: Buffer
  }
  'identity.second_factor': { account_id: AccountId; sealed: Buffer }
  'identity.one_use': { kind: string; name_digest: Buffer; sealed: Buffer; expires_at: Date; epoch: Epoch }
  'identity.signing_key': { only_one: ColumnType<boolean, true | undefined, never>; sealed: Buffer }
  'identity.mailed_code': {
    account_id: AccountId
    purpose: 'change_email' | 'recover'
    code_digest: Buffer
    tries: ColumnType<number, number | undefined, number>
    sealed: Buffer
    expires_hour: Date
    epoch: Epoch
  }
  'identity.sign_up': {
    handle_digest: Buffer
    email_digest: Buffer
    code_digest: Buffer
    tries: ColumnType<number, number | undefined, number>
    sealed: Buffer
    expires_hour: Date
    epoch: Epoch
  }
  'identity.session': {
    grant_model: ColumnType<'Grant', 'Grant' | undefined, never>
    grant_digest: Buffer
    account_id: AccountId
    sealed: Buffer
  }
  'identity.recovery': { account_id: AccountId; sealed: Buffer; expires_hour: Date }
  'identity.reset': {
    epoch: number
    reset_id: string
    reaches: 'everybody' | 'customers' | 'listed'
    quietly: boolean
  }
  'identity.reset_account': { reset_id: string; account_id: AccountId }
  'identity.notice': { notice_id: string; account_id: AccountId; hour: Date; sealed: Buffer }
}
