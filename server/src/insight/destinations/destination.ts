import type { Observation } from '../observation.ts'

/** Cells in the order of a query's columns. */
export interface Rows {
  columns: string[]
  rows: unknown[][]
}

/**
 * Where a copy's rows go. Rows and the number of the last batch are written together, so that a batch that is sent again is
 * known. Everything that it made is its own to remove.
 */
export interface Destination {
  /**
   * Before anything is sent: it is whom it says it is, and does not answer strangers.
   * @throws AppError destination_refused
   */
  check(signal: AbortSignal): Promise<void>
  /** Makes what is missing. @throws AppError destination_refused when another copy's data is there */
  prepare(signal: AbortSignal): Promise<void>
  /**
   * @param number one more than that of the batch before, or that of the last one again
   * @returns already: it had arrived before. @throws AppError destination_refused when there is another batch than that
   */
  deliver(
    batch: { number: number; rows: readonly Observation[] },
    signal: AbortSignal,
  ): Promise<'written' | 'already'>
  /** Reads, in a session that can do nothing else and not for ever. */
  query(sql: string): Promise<Rows>
  /** Removes what `prepare` made; again without harm. */
  destroy(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}
