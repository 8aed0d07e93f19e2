import type { ColumnType, Generated } from 'kysely'
import type {
  AccountId,
  DeviceId,
  DisputeId,
  GrantId,
  HouseholdId,
  InvitationId,
  KeyId,
  ModelId,
  SupportRequestId,
  TenureId,
} from '../core/index.ts'
import type { Act, MemberRole } from './acts.ts'
import type { ModelDefinition } from './face.ts'
import type { History } from './history.ts'
import type { AccessGrant } from './standing.ts'

/** In which it was issued: the database's default. */
type Epoch = ColumnType<number, number | undefined>

// A type, not an interface: Kysely wants an index signature.
export type RegistryTables = {
  'registry.authority': { singleton: boolean; certificate_pem: string; private_key: Buffer }
  'registry.server_identity': {
    singleton: boolean
    hostnames: string[]
    certificate_pem: string
    private_key: Buffer
    not_after: Date
  }
  'registry.model': {
    model_id: ModelId
    name: string
    definition: ColumnType<ModelDefinition, string, string>
  }
  'registry.device': {
    device_id: DeviceId
    model_id: ModelId
    public_key: Buffer
    claim_code_digest: Buffer
    /** The device made it at its last reset: the label's is void. */
    claim_code_fresh: ColumnType<boolean, boolean | undefined>
    password_digest: Buffer | null
    made_on: Date
    disabled: boolean
    held_before: ColumnType<boolean, boolean | undefined>
    /** Sealed: when it last said that it was reset, and whether it brought a new claim code. */
    reset: ColumnType<Buffer | null, Buffer | null | undefined>
    next_public_key: ColumnType<Buffer | null, Buffer | null | undefined>
    rotation_due: ColumnType<boolean, boolean | undefined>
    rotation_epoch: Epoch
  }
  'registry.device_reset': { device_id: DeviceId; message_digest: Buffer }
  'registry.household': {
    household_id: HouseholdId
    key_id: KeyId
    name: Buffer
    log_seq: ColumnType<number, number | undefined, number>
  }
  'registry.household_log': { household_id: HouseholdId; seq: number; sealed: Buffer }
  'registry.member': {
    household_id: HouseholdId
    account_id: AccountId
    role: MemberRole
    /** Sealed: a guest's schedule. */
    terms: Buffer | null
  }
  'registry.access_grant': {
    grant_id: GrantId
    tenure_id: TenureId
    account_id: AccountId
    grantee: AccessGrant['grantee']
    /** Sealed: acts and end. */
    terms: Buffer
  }
  'registry.erased_account': { account_id: AccountId; erased_hour: Date }
  'registry.access_use': { grant_id: GrantId; act: Act; used_on: string }
  'registry.invitation': {
    invitation_id: InvitationId
    household_id: HouseholdId
    inviter: AccountId
    code_digest: Buffer
    /** Sealed: role, guest's terms, exact end. */
    terms: Buffer
    expires_hour: Date
    epoch: Epoch
  }
  'registry.support_request': {
    request_id: SupportRequestId
    operator: AccountId
    code_digest: Buffer
    /** Sealed: exact end. */
    terms: Buffer
    expires_hour: Date
    epoch: Epoch
  }
  'registry.hold': { account_id: AccountId; until_hour: Date }
  'registry.tenure': {
    tenure_id: TenureId
    device_id: DeviceId
    household_id: HouseholdId
    key_id: KeyId
    nickname: Buffer | null
    started_hour: Date
    ended_hour: Date | null
    /** Sealed: how and when it ended. */
    ending: Buffer | null
    history: ColumnType<History, History | undefined>
  }
  /** Sealed: all of it. */
  'registry.dispute': {
    dispute_id: DisputeId
    number: Generated<number>
    tenure_id: TenureId
    open: boolean
    content: Buffer
  }
  'registry.transfer_offer': {
    tenure_id: TenureId
    code_digest: Buffer
    /** Sealed: who offered it, until when, and what becomes of the history. */
    terms: Buffer
    epoch: Epoch
  }
}
