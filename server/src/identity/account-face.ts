import { type AccountId, type Personal, recordFields, type Secret, type Tx } from '../core/index.ts'

/** Letters that this room writes. `main` hands them to whoever sends letters. */
export type AccountLetter =
  | { kind: 'sign_up' | 'email_verification' | 'recovery_code'; code: Secret }
  | {
      kind: 'address_in_use' | 'address_changed' | 'recovered' | 'recovery_denied' | 'session_ended_by_reuse'
    }

export type SendLetter = (tx: Tx, o: { to: AccountId | Personal; letter: AccountLetter }) => Promise<void>

/** What keeps locks and cameras from obeying an account for a while. `main` joins it with the rooms that do it. */
export interface Holds {
  begin(tx: Tx, accountId: AccountId, untilMs: number): Promise<void>
  end(tx: Tx, accountId: AccountId): Promise<void>
}

export type NoticeKind = 'recovered' | 'recovery_denied' | 'session_ended_by_reuse' | 'address_changed'

/** Something that a person should know about their own account. */
export interface Notice {
  noticeId: string
  kind: NoticeKind
  atMs: number
}

/** A sign-in that has not ended. */
export interface SessionInfo {
  sessionId: string
  /** The program, in words. */
  client: string
  /** Where it began and where it was last used: an IPv4 /24 or an IPv6 /48. */
  beganIn: string | undefined
  lastIn: string | undefined
  beganAtMs: number
  /** To the hour. */
  lastUsedHourMs: number
}

export const sessionFields = recordFields<SessionInfo>('Session', {
  sessionId: 'identifying',
  client: 'personal',
  beganIn: 'identifying',
  lastIn: 'identifying',
  beganAtMs: 'sensitive',
  lastUsedHourMs: 'sensitive',
})

/** Whoever is signed in, and by which session. */
export interface Asking {
  accountId: AccountId
  sessionId: string
}

/** What shows, beside a session from before a recovery, that its holder had more than the session. */
export interface DenialProof {
  /** The session's own sign-in was a moment ago. */
  byFreshSignIn: boolean
  formerPassword?: Secret | undefined
  otp?: Secret | undefined
}

/** What a person does about their own account: its address, its recovery, its sessions. */
export interface AccountCare {
  /** With the code of `requestEmailChange` the new address becomes the account's. @throws AppError code_refused, rate_limited */
  verifyEmail(accountId: AccountId, code: Secret): Promise<void>
  /**
   * Mails a code to the new address; answers alike when somebody has it. The old one holds until the code has come back.
   * The caller asks for a fresh sign-in first. @throws AppError held_back, invalid_request, rate_limited
   */
  requestEmailChange(principal: Asking, email: Personal): Promise<void>

  /** Mails a code to a customer's address. The same answer after the same time when there is no such customer. @throws AppError rate_limited, invalid_request */
  requestRecovery(o: { email: Personal; remoteAddress: string | undefined }): Promise<void>
  /**
   * A new password, by the mailed code, and the second factor where the account has one. Tells every session, and holds back
   * locks and cameras.
   * @throws AppError code_refused (also without such an account), second_factor_needed, invalid_request, rate_limited, unavailable
   */
  completeRecovery(o: {
    email: Personal
    code: Secret
    newPassword: Secret
    otp?: Secret | undefined
    remoteAddress: string | undefined
  }): Promise<void>
  /**
   * "It was me": ends the waiting time. A session is older than the recovery, here and below, also when a passkey proved it
   * that is older.
   * @throws AppError not_found unless this session is older than the recovery
   */
  confirmRecovery(principal: Asking): Promise<void>
  /**
   * "It was not me": ends every session, passkey and second factor since, and the password from before holds again. A session
   * alone is no proof, for it may be stolen: `byFreshSignIn`, or the password from before and the second factor.
   * @throws AppError not_found unless this session is older than the recovery; fresh_sign_in_needed, invalid_request (the
   * password), second_factor_needed, rate_limited
   */
  denyRecovery(principal: Asking, proof: DenialProof): Promise<void>
  /**
   * Whether this session began after a recovery that nobody has confirmed within its waiting time. It may not do what could
   * not be undone: end older sessions, change the address, erase the account.
   */
  isHeldBack(principal: Asking): Promise<boolean>

  /**
   * Counts a letter that somebody signed in has sent to an address, all of them and all addresses of this room's together.
   * @throws AppError rate_limited
   */
  spendForLetterTo(email: Personal): void

  /** A hundred at most: one more ends the one that was unused for longest. */
  sessions(accountId: AccountId): Promise<SessionInfo[]>
  /** Ends one's own sign-in: its access and refresh tokens stop at once. @throws AppError not_found, held_back */
  endOneSession(principal: Asking, sessionId: string): Promise<void>
  /** @throws AppError held_back */
  endOtherSessions(principal: Asking): Promise<void>
  /** This one as well. @throws AppError held_back */
  endAllSessions(principal: Asking): Promise<void>
  /** Whether a sign-in has not ended. */
  isSessionLive(sessionId: string): Promise<boolean>
  /** Sessions of the account may have ended: look again. Returns the way to stop listening. */
  onSessionsChange(listener: (change: { accountId: AccountId }) => void | Promise<void>): () => void

  /** Of the last thirty days, newest first, at most twenty. */
  notices(accountId: AccountId): Promise<Notice[]>
  dismissNotice(accountId: AccountId, noticeId: string): Promise<void>
  onNotice(listener: (change: { accountId: AccountId }) => void | Promise<void>): () => void
}
