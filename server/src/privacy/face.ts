import type { AccountId } from '../core/index.ts'
import type { HouseholdWish } from '../registry/index.ts'

/**
 * One line of an export. `record` says what it is of: `export` (first), `profile`, `passkey`, `session`, `notice`, `household`, `invitation`,
 * `support_access`, `device`, `timeline`, `past_device`, `log`; `stopped` where something ended or did not open while it
 * was read; `end` (last: without it the export is not whole). Times in ISO 8601.
 */
export type ExportRecord = { record: string } & Record<string, unknown>

/** Everything about one person: to have it, and to have it gone. */
export interface Privacy {
  /**
   * All that there is about a customer, piece by piece, each read and authorized when it is asked for. Leaving the loop
   * early is fine.
   * @throws AppError rate_limited, at the first piece, while another export of the account runs in this process
   */
  export(accountId: AccountId): AsyncGenerator<ExportRecord>
  /**
   * Destroys the account, its keys and what it alone had, in one commit. Households with other owners go on without it.
   * @throws AppError conflict when a household that it owns alone has no wish, or one that cannot be, and for the last
   * security officer; held_back for a session that began after a recovery which is not confirmed
   */
  erase(who: { accountId: AccountId; sessionId: string }, wishes: readonly HouseholdWish[]): Promise<void>
}
