import type { Act, RecordAct } from '../core/index.ts'

export interface AuditEntry {
  seq: number
  /** Absent when the entry does not open: somebody changed it. */
  content?: Act & { atMs: number }
}

export interface AuditProblem {
  /** The first entry that it is about. */
  seq: number
  /** `changed`: its MAC or its seal is not right. `missing`: there is no such entry. `rewritten`: another one than this machine saw. */
  kind: 'changed' | 'missing' | 'rewritten'
  /** How many entries are missing. */
  count?: number
}

export interface AuditVerdict {
  intact: boolean
  entries: number
  /** The first twenty. */
  problems: AuditProblem[]
  /** The newest entry that was noted outside of the database; absent when none was. */
  anchoredSeq?: number
  /** The last entry's number and MAC, to be written down elsewhere. */
  head: string
}

/** What operators and the system did, in one chain that cannot be changed or cut with access to the database alone. */
export interface Audit {
  /**
   * Within the caller's transaction. Call it last there: from here to the commit all other acts wait, so that the chain
   * has one order.
   */
  record: RecordAct
  /** Newest first. `limit` 1 to 200. @throws AppError invalid_request */
  page(o: {
    before?: number | undefined
    limit: number
  }): Promise<{ entries: AuditEntry[]; next?: number | undefined }>
  /**
   * Reads the whole log and recomputes each MAC.
   * @param noted a `head` that somebody wrote down: that entry must still be there
   * @throws AppError invalid_request
   */
  verify(noted?: string): Promise<AuditVerdict>
}

/** The newest entry that was seen, kept where the database's writers cannot reach. */
export interface AuditAnchor {
  read(): Promise<Anchored | undefined>
  write(anchored: Anchored): Promise<void>
}

export interface Anchored {
  seq: number
  mac: Buffer
}
