import type { AccountId, HouseholdId } from '../core/index.ts'

/**
 * One line of an export. `record` says what it is of: `export` (first), `profile`, `passkey`, `session`, `notice`, `household`, `invitation`,
 * `support_access`, `device`, `timeline`, `past_device`, `log`; `stopped` where something ended or did not open while it
 * was read; `end` (last: without it the export is not whole). Times in ISO 8601.
 */
export type ExportRecord = { record: string } & Record<string, unknown>

/** What becomes of a household that the account owns alone. */
export type HouseholdWish =
  | { householdId: HouseholdId; then: 'end' }
  | { householdId: HouseholdId; then: 'hand-over'; to: AccountId }

/** Everything about one person: to have it, and to have it gone. */
export interface Privacy {
  /**
   * All that there is about a customer, piece by piece, each read and authorized when it is asked for. Leaving the loop
   * early is fine.
   * @throws AppError rate_limited, at the first piece, while another export of the account runs in this process
   */
  export(accountId: AccountId): AsyncGenerator<ExportRecord>
}
