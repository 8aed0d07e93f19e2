import type { AccountId, DeviceId, DisputeId, HouseholdId, Personal } from '../core/index.ts'

/**
 * waiting: the household may object until `dueAtMs`. objected: it did, and a security officer decides. moot: the tenure
 * ended otherwise. Of the others the name tells.
 */
export type DisputeState = 'waiting' | 'objected' | 'completed' | 'rejected' | 'withdrawn' | 'moot'

/** What both sides see of a dispute about who holds a device. */
export interface Dispute {
  disputeId: DisputeId
  deviceId: DeviceId
  state: DisputeState
  openedAtMs: number
  /** Not before this is the tenure ended. */
  dueAtMs: number
  /** What the household said against it. */
  objection: Personal | undefined
}

/** Its documents: for operators, for they may speak of somebody whom the household does not know. */
export interface DisputeFile extends Dispute {
  openedBy: AccountId
  reason: Personal
  /** Where the proof is kept: a case number, never the proof itself. */
  evidence: Personal
}

/**
 * The documented way to end a tenure that must be released and is not. Operators are authorized by their role, by the
 * caller; four eyes, the waiting time and the household's objection are seen to here.
 */
export interface DisputeProcess {
  /** @throws AppError not_found when nobody holds the device; conflict when a reset is enough, or one is open already */
  openDispute(request: {
    operator: AccountId
    deviceId: DeviceId
    reason: Personal
    evidence: Personal
  }): Promise<DisputeFile>
  /** The latest hundred, newest first; `open` ones only. */
  disputes(which: { open: boolean }): Promise<DisputeFile[]>
  /** Those about devices that the household holds. For owners and adults. @throws AppError not_found */
  householdDisputes(accountId: AccountId, householdId: HouseholdId): Promise<Dispute[]>
  /** For owners. @throws AppError not_found; conflict when it has been decided or objected to */
  objectToDispute(request: {
    accountId: AccountId
    householdId: HouseholdId
    disputeId: DisputeId
    objection: Personal
  }): Promise<void>
  /** @throws AppError not_found; conflict when it has been decided */
  withdrawDispute(request: { operator: AccountId; disputeId: DisputeId }): Promise<void>
  /** A security officer's. @throws as above */
  rejectDispute(request: { operator: AccountId; disputeId: DisputeId }): Promise<void>
  /**
   * Ends the tenure; its history stays the household's, and the next claim needs the physical reset.
   * @throws AppError not_found; conflict when it has been decided, the time is not up, the operator is the one who
   * opened it, or the household objected and this is no security officer
   */
  completeDispute(request: {
    operator: AccountId
    securityOfficer: boolean
    disputeId: DisputeId
  }): Promise<void>
}
