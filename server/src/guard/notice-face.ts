import type { AccountId, Personal, Tx } from '../core/index.ts'

/** draft: nobody has been written to. sending: letters are being written, by any process. sent: there is nobody left to write to. */
export type NoticeState = 'draft' | 'sending' | 'sent'

export interface Notice {
  noticeId: string
  affectedId: string
  state: NoticeState
  template: string
  /** BCP 47: how dates are written. */
  locale: string
  by: AccountId
  /** Whom it is for, all in all. */
  people: number
  /** Letters that went to the outbox. */
  written: number
  /** Of those, how many have not left it yet; letters of other notices count as well. */
  waiting: number
  /** People who were erased since: there is nobody to write to. */
  gone: number
  /** People who were written to about the same list by another notice. */
  elsewhere: number
}

export interface NoticeParts {
  /** @returns undefined when the person was erased */
  person(accountId: AccountId): Promise<{ name: Personal } | undefined>
  letters: {
    /** Whether there is a mail server. */
    sends(): boolean
    /** A letter to the account, in the caller's transaction. */
    enqueue(tx: Tx, accountId: AccountId, lines: readonly string[]): Promise<void>
    /** How many letters of this kind wait to be sent. */
    waiting(): Promise<number>
  }
}

export interface Notices {
  /** The usual letter, to edit. */
  template(): string
  /** @throws AppError not_found, invalid_request: the template or the locale */
  draft(
    o: { affectedId: string; template?: string | undefined; locale?: string | undefined },
    by: AccountId,
  ): Promise<Notice>
  /** The letter to the first person of the list who is not erased. @throws AppError not_found, conflict when there is nobody */
  preview(noticeId: string): Promise<{ lines: Personal[] }>
  /**
   * From here on it goes on by itself, also after a crash; nobody is written to twice about the same list.
   * @throws AppError not_found; conflict when it was sent before, another is being sent, or there is no mail server
   */
  send(noticeId: string, by: AccountId): Promise<Notice>
  /** @throws AppError not_found */
  get(noticeId: string): Promise<Notice>
  /** The newest fifty. */
  list(): Promise<Notice[]>
  /** Writes the next letters, if any are due; for the room's own timer, and tests. @returns whether there are more */
  work(): Promise<boolean>
}
