import type { AccountId, DeviceId, HouseholdId, InvitationId, Personal, Secret, Tx } from '../core/index.ts'
import type { MemberRole } from './acts.ts'
import type { GuestSchedule } from './guest-schedule.ts'

export type GrantedAct = 'view' | 'control'

/** What somebody who is no full member may do on one device. `control` holds `view`. */
export interface DeviceGrant {
  deviceId: DeviceId
  acts: GrantedAct[]
}

/** A guest's access: when, and on which devices. */
export interface GuestTerms {
  schedule: GuestSchedule
  devices: DeviceGrant[]
}

export interface Member {
  accountId: AccountId
  role: MemberRole
  /** Of guests. */
  guest?: GuestTerms | undefined
}

/** As whom somebody is invited, or what a member becomes. Owners come by hand-over only. */
export type NewRole = { role: 'adult' } | { role: 'guest'; guest: GuestTerms }

export interface Invitation {
  invitationId: InvitationId
  by: AccountId
  as: NewRole
  expiresAtMs: number
}

/** What a household lets one of the maker's support operators do, and until when. */
export interface SupportAccess {
  operator: AccountId
  devices: DeviceGrant[]
  untilMs: number
}

/** What becomes of a household that an account which is erased owns alone. */
export type HouseholdWish =
  | { householdId: HouseholdId; wish: 'end' }
  /** To one of its adults. */
  | { householdId: HouseholdId; wish: 'hand-over'; to: AccountId }

interface InHousehold {
  accountId: AccountId
  householdId: HouseholdId
}
/** `memberId`: whom it is about. */
type OfMember = InHousehold & { memberId: AccountId }

/**
 * Who is in a household, and whom it lets in. All throw AppError not_found for what the account may not do, as for what
 * is not there; docs/people.md says who may do what.
 */
export interface People {
  /** For owners and adults. */
  members(accountId: AccountId, householdId: HouseholdId): Promise<Member[]>
  /** Another role, or a guest's other terms. @throws AppError conflict for an owner, who can only hand over */
  changeMember(request: OfMember & { to: NewRole }): Promise<void>
  /** Oneself: leaving. @throws AppError conflict for the last owner, and for another owner */
  removeMember(request: OfMember): Promise<void>
  /**
   * Makes an adult own the household. Who hands over remains an owner beside them, or becomes an adult.
   * @throws AppError conflict for a guest
   */
  handOver(request: OfMember & { remains: 'owner' | 'adult' }): Promise<void>

  /** A one-use code, good for 1..168 hours; it is sent to `mailTo`, too. @throws AppError invalid_request, conflict when too many are open */
  invite(
    request: InHousehold & { as: NewRole; hours: number; mailTo?: Personal | undefined },
  ): Promise<{ invitation: Invitation; code: Secret }>
  invitations(accountId: AccountId, householdId: HouseholdId): Promise<Invitation[]>
  revokeInvitation(request: InHousehold & { invitationId: InvitationId }): Promise<void>
  /**
   * @throws AppError code_refused alike for an unknown, expired, used or revoked one, and for one whose inviter may not
   * invite any more; conflict for a member, a full household, and an account in too many
   */
  acceptInvitation(accountId: AccountId, code: Secret): Promise<HouseholdId>

  /** A one-use code that the operator says to the household. Whoever calls has looked at the operator's role. */
  requestSupportAccess(operator: AccountId): Promise<{ code: Secret; expiresAtMs: number }>
  /** Takes the place of what that operator had. @throws AppError code_refused; invalid_request unless 1..72 hours */
  giveSupportAccess(
    request: InHousehold & { code: Secret; devices: DeviceId[]; acts: GrantedAct[]; hours: number },
  ): Promise<SupportAccess>
  supportAccess(accountId: AccountId, householdId: HouseholdId): Promise<SupportAccess[]>
  /** What households let an operator do now; each use is asked for, and logged, by itself. */
  supportedDevices(operator: AccountId): Promise<(DeviceGrant & { untilMs: number })[]>
  endSupportAccess(request: InHousehold & { operator: AccountId }): Promise<void>
  /** Ends all that an operator asked for and was given, when they stop being one. */
  endOperator(tx: Tx, operator: AccountId): Promise<void>
  /**
   * Takes the account out of everything, in the caller's transaction. Households that it owns alone end, with all that
   * they hold and held, or go to another: as is wished for each of them.
   * @returns what to call after the commit
   * @throws AppError conflict when a wish is missing, or cannot be
   */
  eraseAccount(tx: Tx, accountId: AccountId, wishes: readonly HouseholdWish[]): Promise<() => void>
}
