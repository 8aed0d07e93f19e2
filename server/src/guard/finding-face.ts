import type { AccountId } from '../core/index.ts'

/** Counts up from 1, so that it can be said on the telephone. */
export type FindingId = number

/**
 * open: a stranger reads data there. changed: what asked for credentials before now answers as something else. certificate: a
 * certificate that verified before does not any more. door: a process of ours listens where nothing was declared. file: a
 * file of ours that every user of the machine may read. stopped: nothing was looked at for too long. audit: the audit log was
 * cut or rewritten. canary: what stands in that store only was tried at a door of ours.
 */
export const findingKinds = [
  'open',
  'changed',
  'certificate',
  'door',
  'file',
  'stopped',
  'audit',
  'canary',
] as const
export type FindingKind = (typeof findingKinds)[number]

/** open: it is so now. shut: it was proved several times that it is so no more. closed: an operator has ended it. */
export type FindingState = 'open' | 'shut' | 'closed'

export interface Finding {
  findingId: FindingId
  kind: FindingKind
  state: FindingState
  storeKey: string
  /** The store's name and address, as they were then. */
  name: string
  address: string
  /** Counts and kinds of what a stranger could read; never content. */
  evidence: string
  openedAtMs: number
  /** Names of the copies whose feed was cut, in the same commit. */
  cut: string[]
  /** How often people were called. */
  pages: { webhook: number; mail: number }
  shutAtMs?: number
  acknowledged?: { by: AccountId; atMs: number }
  closed?: { by: AccountId; atMs: number; note?: string }
}

export interface Found {
  kind: FindingKind
  storeKey: string
  name: string
  address: string
  evidence: string
}

export interface Findings {
  /** The newest two hundred. */
  list(o: { all: boolean }): Promise<Finding[]>
  /** @throws AppError not_found */
  get(findingId: FindingId): Promise<Finding>
  /** Somebody has taken it: nobody is paged for it any more. @throws AppError not_found, conflict */
  acknowledge(findingId: FindingId, by: AccountId): Promise<Finding>
  /**
   * Ends it. One that is still open needs `note`, why that is accepted; whatever is still so is found again.
   * @throws AppError not_found, conflict
   */
  close(findingId: FindingId, by: AccountId, o: { note?: string | undefined }): Promise<Finding>
}
