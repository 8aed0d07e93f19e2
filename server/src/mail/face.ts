import type { AccountId, Clock, Database, Log, Personal, RecordAct, Secret, Tx } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { Vault } from '../vault/index.ts'
import type { Letter, LetterKind } from './letters.ts'

/** An account is written to at the address that it has when the letter leaves; a `Personal` is an address. */
export type Addressee = AccountId | Personal

export interface WaitingLetter {
  letterId: string
  kind: LetterKind
  /** To the hour. */
  queuedHourMs: number
  /** How often the mail server has put it off. */
  attempts: number
}

export interface ShownLetter extends WaitingLetter {
  to: Personal
  subject: string
  /** May hold a live code. */
  text: Secret
}

export interface Mail {
  start(): Promise<void>
  close(): Promise<void>
  /**
   * Puts a letter into the outbox, sealed, within the caller's transaction: it is sent when that has been committed and
   * not at all when it is rolled back.
   */
  enqueue(tx: Tx, o: { to: Addressee; letter: Letter }): Promise<void>
  /** Removes what waits for an account, or for its address, when it is erased: in the caller's transaction. */
  forget(tx: Tx, who: { accountId: AccountId; email: Personal }): Promise<void>
  /** Whether letters are sent at all: without an SMTP server they stay in the outbox. */
  readonly sends: boolean
  /** What waits, newest first, at most 200; neither addressee nor content. */
  waiting(): Promise<WaitingLetter[]>
  /** How many wait to be sent, or to be read by an operator. */
  backlog(): Promise<number>
  /**
   * Opens a letter for an operator, who is the only way to its addressee while no SMTP server is configured; with one,
   * nobody reads other people's letters. Every showing is logged.
   * @throws AppError not_found; conflict when letters are sent
   */
  show(letterId: string, operator: AccountId): Promise<ShownLetter>
  stats(): Record<string, number>
}

export interface SmtpOptions {
  /** `smtps://user:password@host:465`, or `smtp://…:587`, which must offer STARTTLS unless it is on loopback. */
  url: Secret
  /** The sender, `Name <address>` or an address. */
  from: string
  /** PEM, where the server's certificate is not of a public authority. */
  ca?: string | undefined
}

export interface MailOptions {
  database: Database
  keys: Keys
  vault: Pick<Vault, 'read'>
  clock: Clock
  log: Log
  smtp?: SmtpOptions | undefined
  /** Has what operators do written down. */
  recordAct?: RecordAct | undefined
  /** How often the outbox is looked at. */
  pollMs?: number | undefined
}
