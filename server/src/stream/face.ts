import {
  type DeviceId,
  type KeyId,
  type RecordId,
  recordFields,
  type TenureId,
  type Tx,
} from '../core/index.ts'

/** What a record tells. `results` are devices' answers to commands, `availability` is the server's own knowledge. */
export type RecordKind = 'attributes' | 'events' | 'results' | 'availability'

/** One committed record, still sealed. Its exact time is inside the seal. */
export interface StreamRecord {
  /** Place in the log: 1, 2, 3 … without a gap, in the order of commits. */
  seq: number
  recordId: RecordId
  kind: RecordKind
  deviceId: DeviceId
  tenureId: TenureId
  /** Names the attributes or events inside without telling which: see `slotOf`. In the order of `paths`. */
  slots: Buffer[]
  sealed: Buffer
}

export interface AppendRequest {
  kind: RecordKind
  /** JSON, as received. At most `limits.maxPayloadBytes`. */
  payload: Buffer
  /** Paths of what is inside, such as `1/OnOff.OnOff`; each becomes a slot. */
  paths: readonly string[]
  /** 16 bytes that the device's own message id stands behind, for recognising a resend. */
  messageKey?: Buffer | undefined
}

/** Appends for one tenure, sealed to the tenure's key. */
export interface StreamWriter {
  /**
   * Resolves after the record is committed and on disk.
   * @throws AppError unavailable when too much is pending, the database is away, or the outcome is unknown: the
   * record may then be stored or not, and a resend is recognised by its message key
   * @throws AppError too_large, invalid_request when the request breaks the limits above
   * @throws AppError stale_tenure after `close`
   */
  append(request: AppendRequest): Promise<void>
  /** Forgets the key: nothing more is appended by this writer. What is pending still commits. */
  close(): void
}

export interface Reader {
  start(): Promise<void>
  /** Finishes the batch in hand. */
  close(): Promise<void>
  /** `seq` of the last record whose effects this process knows to be committed. */
  readonly position: number
}

/**
 * Applies records. Its effects must all go through `tx`: they commit together with the reader's place in the log, or
 * not at all. Throwing rolls back, and the same records come again, after a growing pause; none is ever skipped.
 * What it returns is called once they are committed, before the next records come, and never after a rollback.
 */
export type RecordHandler = (
  tx: Tx,
  records: StreamRecord[],
) => Promise<AfterCommit | undefined> | Promise<void>
export type AfterCommit = () => void

/** The durable log between the gateway and its readers. */
export interface Stream {
  start(): Promise<void>
  /** Commits what is pending, lets readers finish their batch, then closes its connections. */
  close(): Promise<void>
  /** @throws AppError not_found when the tenure's key was destroyed */
  writer(tenure: { tenureId: TenureId; deviceId: DeviceId; keyId: KeyId }): Promise<StreamWriter>
  /**
   * Message keys of a tenure's last `limit` keyed records, newest first.
   * @throws AppError unavailable while it can't be known whether the last batch was committed
   */
  recentMessageKeys(tenureId: TenureId, limit: number): Promise<Buffer[]>
  /** More is pending than the high-water mark: stop reading from sockets until `onDrain`. */
  readonly congested: boolean
  /** Calls back each time congestion ends. Returns the way to stop that. */
  onDrain(callback: () => void): () => void
  /**
   * A reader sees every record once, in order. The name keeps its place over restarts, and of several processes that
   * use the same name only one applies at a time.
   */
  reader(name: string, handle: RecordHandler): Reader
  /**
   * For a reader that keeps its own place: what follows it, bounded, at least one record if there is any. Places are its
   * own to commit together with its effects.
   */
  read(after: number): Promise<StreamRecord[]>
  /** `seq` of the last committed record. */
  head(): Promise<number>
  stats(): Record<string, number>
}

export interface StreamLimits {
  /** One group commit. */
  batchRecords: number
  batchBytes: number
  /** Above the high mark the stream is congested, below the low one it has drained, above the maximum it refuses. */
  highWaterRecords: number
  highWaterBytes: number
  lowWaterRecords: number
  lowWaterBytes: number
  maxPendingRecords: number
  maxPendingBytes: number
  maxPayloadBytes: number
  maxPaths: number
  /** A batch that PostgreSQL has not answered by then is given up; its outcome is unknown. */
  batchTimeoutMs: number
  /** What a reader is handed at once. */
  readRecords: number
  readBytes: number
  /** Committed batches that are kept in memory for readers that follow closely. */
  tailRecords: number
  tailBytes: number
  /** How long a record of another process may go unseen when a wake-up is lost. */
  pollMs: number
  /** Pause after a failure: doubles from the first to the last. */
  retryFirstMs: number
  retryLastMs: number
}

export const streamRecordFields = recordFields<StreamRecord>('StreamRecord', {
  seq: 'identifying',
  recordId: 'identifying',
  kind: 'sensitive',
  deviceId: 'identifying',
  tenureId: 'identifying',
  slots: 'identifying',
  sealed: 'sensitive',
})
