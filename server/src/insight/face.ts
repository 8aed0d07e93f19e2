import type { AccountId, CopyId, Personal, Secret, TenureId, Tx } from '../core/index.ts'
import type { Catalogue } from './catalogue.ts'
import type { Metric, MetricAnswer } from './metrics/metric.ts'

/**
 * filling: it follows the stream. paused: an operator stopped it. cut: nothing may go to its destination until an operator
 * says so. burning: its key is destroyed, its data is being removed. burned: gone.
 */
export type CopyState = 'filling' | 'paused' | 'cut' | 'burning' | 'burned'

/** To which step of time everything in a copy is rounded down. */
export type Grain = 'hour' | 'day'

export interface NewCopy {
  owner: AccountId
  /** `^[a-z][a-z0-9-]{1,39}$` */
  name: string
  purpose: Personal
  /** Of the catalogue. */
  fields: readonly string[]
  grain: Grain
  expiresSeconds: number
  /** `file`, or `postgres://user@host:port/database` */
  to: string
  password?: Secret | undefined
  /** PEM of whoever signed the destination's certificate, where no usual authority did. */
  authorityPem?: string | undefined
  /** The fewest devices that a shown number may stand for. */
  minGroup: number
  /** Of the history that there is, or only of what comes from now on. */
  from: 'beginning' | 'now'
}

export interface Copy {
  copyId: CopyId
  name: string
  owner: AccountId
  purpose: Personal
  fields: readonly string[]
  grain: Grain
  minGroup: number
  state: CopyState
  /** A finding's or an operator's, why it was cut. */
  reason?: string | undefined
  /** Why it does not go on now: an error's code. */
  problem?: string | undefined
  /** `file`, or protocol, host and port; without a user. */
  destination: string
  createdAtMs: number
  expiresAtMs: number
  /** Records of the stream that it holds, of how many that there are. */
  filled: number
  head: number
}

/** Whose data a copy was given. */
export interface Touched {
  tenureId: TenureId
  fields: string[]
}

export interface Ledger {
  /**
   * Whose data went into the copy between these moments, to the hour, and which fields. Never less than the truth: what may
   * be on its way counts. Also of copies that are gone.
   */
  touched(copyId: CopyId, from?: number, to?: number): Promise<Touched[]>
}

/** A copy's destination, as something to be watched. */
export interface Feed {
  copyId: CopyId
  name: string
  /** `postgres://host:port`; undefined for a file. */
  address: string | undefined
  state: CopyState
}

export interface Feeds {
  /** Of all copies that hold data. */
  list(): Promise<Feed[]>
  /**
   * Takes effect with the commit of `tx`: after it nothing leaves for this destination, from no process. Waits for a batch
   * that is on its way, which is given up. @param reason a finding's id, or a word; no personal data
   * @throws AppError not_found
   */
  cut(tx: Tx, copyId: CopyId, reason: string): Promise<void>
  /** Only what was cut. @throws AppError not_found, conflict */
  resume(tx: Tx, copyId: CopyId): Promise<void>
}

export interface Insight {
  start(): Promise<void>
  close(): Promise<void>
  catalogue(): Promise<Catalogue>
  /** @throws AppError copy_refused, destination_refused, conflict when there is one of the name, invalid_request */
  create(copy: NewCopy): Promise<Copy>
  /** Those that are not burned; with `all`, those too. */
  copies(all?: boolean): Promise<Copy[]>
  /** By its name or id. @throws AppError not_found */
  copy(nameOrId: string): Promise<Copy>
  /** @throws AppError not_found, conflict */
  pause(copyId: CopyId, by: AccountId): Promise<void>
  /** Of a paused copy. @throws AppError not_found, conflict */
  resume(copyId: CopyId, by: AccountId): Promise<void>
  /** Of one that was cut: an operator has seen to its destination. @throws AppError not_found, conflict */
  reopen(copyId: CopyId, by: AccountId): Promise<void>
  /** Its key at once and for good; its data as soon as the destination can be reached. @throws AppError not_found */
  burn(copyId: CopyId, by: AccountId): Promise<void>
  readonly metrics: readonly Metric[]
  /** @throws AppError not_found; conflict when the copy lacks a field that it needs; destination_refused, unavailable */
  metric(nameOrId: string, metric: string): Promise<MetricAnswer>
  /** Of which copy a text is a pseudonym: of those that are gone, too. */
  recognise(text: string): Promise<{ copyId: CopyId; name: string; madeAtMs: number } | undefined>
  readonly feeds: Feeds
  readonly ledger: Ledger
  /** Fills and ends what is due; called by the room's own timer, and by tests. */
  tick(): Promise<void>
  stats(): Record<string, number>
}
