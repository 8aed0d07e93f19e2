import type { AccountId, HouseholdId, TenureId, Tx } from '../core/index.ts'

export const resetScopes = ['all', 'customers', 'devices', 'integrations', 'household'] as const
export type ResetScope = (typeof resetScopes)[number]

export interface ResetRequest {
  scope: ResetScope
  /** With `household`, and only with it. */
  householdId?: HouseholdId | undefined
  /** Narrows it to the homes whose data went into this store. */
  store?: string | undefined
  /** Apps go on by proving their keys, and nobody notices; otherwise people sign in anew. */
  quietly: boolean
}

/** What a reset would make void now. Exact at its moment. */
export interface ResetCounts {
  accounts: number
  signIns: number
  mailedCodes: number
  invitations: number
  transfers: number
  devices: number
  /** Of those: replace their key when they come back. */
  replacingKeys: number
  /** Of those: have a password that nothing can replace. It stays as it is. */
  keepingPasswords: number
  /** Open connections, in all processes: of everybody, where it is not known before whom a reset reaches. */
  deviceConnections: number
  liveStreams: number
}

export interface ResetView {
  resetId: string
  scope: ResetScope
  householdId: HouseholdId | undefined
  store: string | undefined
  quietly: boolean
  operator: AccountId
  state: 'preparing' | 'void' | 'done'
  begunAtMs: number
  /** From this moment on everything of before is void. */
  voidAtMs: number | undefined
  doneAtMs: number | undefined
  /** Sign-ins that have been cleared away, when people sign in anew. */
  removedSignIns: number
  closedConnections: number
  /** Void, and waiting for their wave. */
  waitingConnections: number
}

/** Everything re-keyed at once. */
export interface Reset {
  start(): Promise<void>
  close(): Promise<void>
  /** Changes nothing. @throws AppError invalid_request, not_found */
  plan(request: ResetRequest): Promise<ResetCounts>
  /**
   * When it resolves, everything of before is void; with a `store`, as soon as it is listed whom that reaches.
   * @throws AppError invalid_request, not_found
   */
  begin(request: ResetRequest, operator: AccountId): Promise<ResetView>
  /** @throws AppError not_found */
  get(resetId: string): Promise<ResetView>
  /** The latest fifty, newest first. */
  list(): Promise<ResetView[]>
}

/** What the rooms offer that hold what a reset makes void. `main` joins them. */
export interface ResetParts {
  signIns: SignInPart
  devices: DevicePart
  /** Tenures whose data went into a store, some at a time. @throws AppError not_found when there is no such store */
  touched(store: string): AsyncIterable<TenureId[]>
  /** Of this process. */
  connections(): { devices: number; streams: number; waiting: number; closed: number }
}

export interface SignInPart {
  count(
    o: { reach: SignInReach; resetId?: string | undefined },
    tx?: Tx,
  ): Promise<{ accounts: number; signIns: number; codes: number }>
  stage(tx: Tx, resetId: string, accountIds: readonly AccountId[]): Promise<void>
  void(tx: Tx, reset: { resetId: string; reach: SignInReach; quietly: boolean }): Promise<void>
  sweep(after?: Buffer): Promise<{ removed: number; next?: Buffer | undefined }>
  catchUp(): Promise<void>
}

export interface DevicePart {
  count(
    reach: DeviceReach & { resetId?: string | undefined },
    tx?: Tx,
  ): Promise<{
    devices: number
    replacingKeys: number
    keepingPasswords: number
    invitations: number
    transfers: number
  }>
  stage(tx: Tx, resetId: string, householdIds: readonly HouseholdId[]): Promise<void>
  void(tx: Tx, reset: DeviceReach & { resetId: string }): Promise<void>
  householdsOf(tenureIds: readonly TenureId[]): Promise<HouseholdId[]>
  peopleOf(tx: Tx, householdIds: readonly HouseholdId[]): Promise<AccountId[]>
  catchUp(): Promise<void>
}

export type SignInReach = 'everybody' | 'customers' | 'listed'

export interface DeviceReach {
  devices: boolean
  codes: boolean
  listed: boolean
}
