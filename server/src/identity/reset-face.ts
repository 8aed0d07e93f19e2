import type { AccountId, Tx } from '../core/index.ts'

/** Whose sign-ins and codes a reset makes void. `listed`: those that `stage` was given under the reset's id. */
export type SignInReach = 'everybody' | 'customers' | 'listed'

/** One reset, of those whom it reaches. */
export interface SignInReset {
  resetId: string
  reach: SignInReach
  /** Sign-ins go on for whoever proves the key that they are bound to; otherwise people sign in anew. */
  quietly: boolean
}

export interface SignInCounts {
  accounts: number
  /** Sign-ins that have not ended. */
  signIns: number
  /** Mailed codes that can be used. What else waits to be used, for minutes, belongs to nobody in the clear, and is not counted. */
  codes: number
}

/** Everything that was issued to people before is void from one commit on. */
export interface SignInResets {
  /** What a reset of them would make void now. */
  count(o: Pick<SignInReset, 'reach'> & { resetId?: string | undefined }, tx?: Tx): Promise<SignInCounts>
  /** Whom a reset that is `listed` will reach; of no effect before it. The same account again changes nothing. */
  stage(tx: Tx, resetId: string, accountIds: readonly AccountId[]): Promise<void>
  /** Takes effect at the commit of `tx`, at every door and in every process. */
  void(tx: Tx, reset: SignInReset): Promise<void>
  /**
   * Removes some of what is void, from where the one before stopped.
   * @returns how many sign-ins that were, and where to go on; without it nothing is left
   */
  sweep(after?: Buffer): Promise<{ removed: number; next?: Buffer | undefined }>
  /** Whether the token of this request is good at this moment still. */
  isCurrent(principal: { accountId: AccountId; epoch: number }): Promise<boolean>
  /** Resolves when all that is committed has taken effect in this process, without waiting for the hint. */
  catchUp(): Promise<void>
  /** Called once for each reset, wherever it was made. Returns the way to stop listening. */
  onReset(listener: (reset: HeardReset) => void | Promise<void>): () => void
}

/** A reset as other rooms hear of it. */
export interface HeardReset {
  /** What was issued in an epoch before this one may be void. */
  epoch: number
  quietly: boolean
  /** Of these accounts, those that it reaches. */
  reached(accountIds: readonly AccountId[]): Promise<Set<AccountId>>
}
