import type { AccountId, DeviceId, HouseholdId, TenureId, Tx } from '../core/index.ts'

/** What of devices and households a reset reaches. */
export interface DeviceReach {
  /** Devices prove their keys anew, and replace them where they can. */
  devices: boolean
  /** Codes of invitations and transfers. */
  codes: boolean
  /** Of the households only that `stage` was given under the reset's id; of all otherwise. */
  listed: boolean
}

export interface DeviceCounts {
  devices: number
  /** Of models that replace their key pair. A password beside it ends then. */
  replacingKeys: number
  /** With a password, and of a model that cannot replace it: it stays as it is. */
  keepingPasswords: number
  /** Codes that can be used. */
  invitations: number
  transfers: number
}

/** A reset as other rooms hear of it. */
export interface HeardDeviceReset {
  /** What a device has proved in an epoch before this one may be void. */
  epoch: number
  /** Of these devices, those that it reaches. */
  reached(deviceIds: readonly DeviceId[]): Promise<Set<DeviceId>>
}

export interface DeviceResets {
  /** What a reset would make void now. */
  count(reach: DeviceReach & { resetId?: string | undefined }, tx?: Tx): Promise<DeviceCounts>
  /** Which households a reset that is `listed` will reach; of no effect before it. */
  stage(tx: Tx, resetId: string, householdIds: readonly HouseholdId[]): Promise<void>
  /** Takes effect at the commit of `tx`, at every door and in every process. */
  void(tx: Tx, reset: DeviceReach & { resetId: string }): Promise<void>
  /** Who hold or held them. */
  householdsOf(tenureIds: readonly TenureId[]): Promise<HouseholdId[]>
  /** Members of these households, and operators whom they let in. @throws AppError not_found when there is none of this id */
  peopleOf(tx: Tx, householdIds: readonly HouseholdId[]): Promise<AccountId[]>
  /** Devices whose passwords stay as they are: see `keepingPasswords`. In the order of their ids. */
  keepingPasswords(page: { after?: DeviceId | undefined; limit: number }): Promise<DeviceId[]>
  /** Resolves when all that is committed has taken effect in this process, without waiting for the hint. */
  catchUp(): Promise<void>
  /** Called once for each reset of devices, wherever it was made. Returns the way to stop listening. */
  onReset(listener: (reset: HeardDeviceReset) => void | Promise<void>): () => void
}
