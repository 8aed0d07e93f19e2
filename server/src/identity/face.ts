import type { IncomingMessage, ServerResponse } from 'node:http'
import type {
  AccountId,
  Bus,
  Clock,
  Database,
  Log,
  Personal,
  PresentedInVain,
  RecordAct,
  Secret,
  Tx,
} from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { Vault } from '../vault/index.ts'
import type { AccountCare, Holds, SendLetter } from './account-face.ts'
import type { Argon2Cost } from './passwords.ts'
import type { SignInResets } from './reset-face.ts'

/** Customers and operators are separate kinds: one address may be both, and neither signs in as the other. */
export type AccountKind = 'customer' | 'operator'

export const operatorRoles = ['engineer', 'analyst', 'support', 'security'] as const
export type OperatorRole = (typeof operatorRoles)[number]

/**
 * How a sign-in was made, in the words of RFC 8176: a password, a one-time code, a passkey that may be copied between
 * devices (`swk`), a passkey that cannot leave its device (`hwk`).
 */
export type SignInMethod = 'pwd' | 'otp' | 'swk' | 'hwk'

/** Who makes a request. `roles` is empty for customers. `sessionId` names the sign-in, and is no credential. */
export interface Principal {
  accountId: AccountId
  kind: AccountKind
  roles: OperatorRole[]
  sessionId: string
  /** When the person last proved who they are, to the second. A refresh does not count. */
  signedInAtMs: number
  methods: SignInMethod[]
  /** In which the token was issued: what resets since have made of it is `resets.isCurrent`. */
  epoch: number
}

/** What a resource request brings (RFC 9449 section 7.1). Headers as Node hands them out. */
export interface ResourceRequest {
  method: string
  /** The request target (`/v1/me?x=1`) or the absolute URL; only its path is compared. */
  url: string
  authorization: string | undefined
  dpop: string | string[] | undefined
  /** Where the request comes from, for the list of sessions. */
  remoteAddress?: string | undefined
}

/** A passkey, as its owner may see it. */
export interface PasskeyView {
  passkeyId: string
  name: Personal
  /** A password manager may copy it to the person's other devices. */
  synced: boolean
  addedAtMs: number
  usedAtMs?: number
}

/** Where a browser makes a passkey. Whoever has the link can, once, until it ends: it is a secret. */
export interface PasskeyLink {
  url: Secret
  expiresAtMs: number
}

/** The passkeys of one account. The caller asks for a fresh sign-in before what changes who can come in. */
export interface PasskeyFace {
  list(accountId: AccountId): Promise<PasskeyView[]>
  /** A link that is good for ten minutes, and no longer than the session; a new one does not end the one before. */
  add(by: Pick<Principal, 'accountId' | 'sessionId'>): Promise<PasskeyLink>
  /** @throws AppError not_found; invalid_request (the name) */
  rename(accountId: AccountId, passkeyId: string, name: Personal): Promise<void>
  /** @throws AppError not_found; conflict when it is the last way in */
  remove(accountId: AccountId, passkeyId: string): Promise<void>
}

/** The code of an authenticator app (RFC 6238) beside the password. Passkeys need none. */
export interface SecondFactorFace {
  state(accountId: AccountId): Promise<{ on: boolean; recoveryCodes: number }>
  /** For the app, as text and as otpauth:// for a QR code; counts when a first code has come. @throws AppError conflict */
  begin(accountId: AccountId): Promise<{ secret: Secret; uri: Secret }>
  /** @returns recovery codes, each good once in place of the app's. @throws AppError second_factor_needed, conflict, rate_limited */
  confirm(accountId: AccountId, code: Secret): Promise<Secret[]>
  /** @throws AppError second_factor_needed: without a right code it stays; not_found, rate_limited */
  remove(accountId: AccountId, code: Secret): Promise<void>
}

/** The maker's staff. One security officer at least stays. */
export interface OperatorFace {
  list(): Promise<{ accountId: AccountId; email: Personal; name: Personal; roles: OperatorRole[] }[]>
  /** Counts from the operator's next request on. @throws AppError not_found, conflict */
  setRoles(accountId: AccountId, roles: OperatorRole[], by: AccountId): Promise<void>
  /** Ends the account, its passkeys and its sign-ins. @throws AppError not_found, conflict */
  remove(accountId: AccountId, by: AccountId): Promise<void>
}

export interface NewPerson {
  email: Personal
  name: Personal
  /** Absent: the account is to have a passkey and no password. */
  password?: Secret | undefined
  /** `socket.remoteAddress`; without it only the limit per account applies. */
  remoteAddress?: string | undefined
}

export interface Identity extends AccountCare {
  start(): Promise<void>
  close(): Promise<void>
  /**
   * Mails a code, good for a day, with which a customer's account comes into being. Answers alike, after like work, whether or
   * not the address has one already; then the letter says so, and holds no code.
   * @throws AppError invalid_request (address, name or password), rate_limited, unavailable
   */
  signUp(person: NewPerson): Promise<{ signUpId: string }>
  /**
   * Makes the account, by the code that was mailed for this very sign-up.
   * @returns where the sign-up had no password: the link by which the passkey is made, and the account with it
   * @throws AppError code_refused, conflict (the address got an account meanwhile), rate_limited
   */
  confirmSignUp(o: {
    signUpId: string
    code: Secret
    remoteAddress: string | undefined
  }): Promise<PasskeyLink | undefined>
  /**
   * Sets a password, or another one, and ends every other session. `byFreshSignIn`: the caller's sign-in is a fresh one;
   * when it was made with a passkey, the present password is not asked for.
   * @throws AppError invalid_request (the present password, or the new one), held_back, rate_limited, unavailable
   */
  changePassword(
    principal: Principal,
    o: { current: Secret | undefined; next: Secret; byFreshSignIn: boolean },
  ): Promise<void>
  readonly passkeys: PasskeyFace
  readonly secondFactor: SecondFactorFace
  /** A one-use code, valid for an hour; a new one ends the one before. `undefined` when there is an operator. */
  operatorEnrolment(): Promise<Secret | undefined>
  /** A one-use code, valid for a day, as long as who gave it may give it. */
  inviteOperator(o: { invitedBy: AccountId; roles: OperatorRole[] }): Promise<Secret>
  /**
   * The link by which the new operator makes a passkey: with it the account comes into being, and the code is used up.
   * @throws AppError sign_in_refused (the code), conflict (the address), invalid_request, rate_limited
   */
  enrolOperator(person: Omit<NewPerson, 'password'> & { code: Secret }): Promise<PasskeyLink>
  readonly operators: OperatorFace
  /**
   * Everything below `/oauth/`, and `/.well-known/openid-configuration`. Needs the raw request: the body
   * must not have been read. `from`: whom the request comes from, for the limits, where the caller knows better than
   * the socket (behind a trusted proxy).
   */
  handleOAuth(req: IncomingMessage, res: ServerResponse, from?: { remoteAddress: string | undefined }): void
  /**
   * @throws AppError unauthenticated, whatever was wrong; use_dpop_nonce when the proof has no nonce of this process;
   * unavailable
   */
  authenticate(request: ResourceRequest): Promise<Principal>
  /** What the next proof should carry (RFC 9449 section 8.2). A new one each minute; each is good for three. */
  dpopNonce(): string
  /** Ends the sign-in that makes the request: its access and refresh tokens stop at once. */
  endSession(principal: Pick<Principal, 'sessionId'>): Promise<void>
  /**
   * Takes the account away, in the caller's transaction, with its sessions and all that opens it.
   * @returns what to call after the commit
   * @throws AppError not_found; conflict for the last security officer
   */
  eraseAccount(tx: Tx, accountId: AccountId): Promise<() => void>
  readonly resets: SignInResets
  stats(): Record<string, number>
}

/** Ends, in the transaction, what households let an operator do: they are support no longer. */
export type EndSupport = (tx: Tx, operator: AccountId) => Promise<void>

export interface IdentityOptions {
  database: Database
  keys: Keys
  vault: Vault
  clock: Clock
  log: Log
  /** The public URL, without path, as browsers and clients see it. A function when the port is known late. */
  issuer: string | (() => string)
  /** Writes a letter within the transaction, which is sent after its commit. */
  sendLetter: SendLetter
  holds: Holds
  endSupport?: EndSupport | undefined
  /** Has what operators do written down, in its transaction. */
  recordAct?: RecordAct | undefined
  /** Told of addresses, passwords, codes and tokens that were refused. */
  presentedInVain?: PresentedInVain | undefined
  /** What other processes that share the database have changed is heard on it. */
  bus?: Pick<Bus, 'subscribe' | 'onGap'> | undefined
  /** Only for tests that need many accounts. */
  passwordCost?: Argon2Cost | undefined
  limits?: Partial<IdentityLimits> | undefined
}

/** A bucket that holds `burst` attempts and regains one each `everySeconds`. */
export interface Allowance {
  burst: number
  everySeconds: number
}

export interface IdentityLimits {
  /** Authorization requests: each leaves a row for a quarter of an hour. */
  beginPerAddress: Allowance
  /** For each network that tries; only wrong passwords count. */
  signInPerAccount: Allowance
  /** For all networks together from which the account has not signed in yet. */
  signInPerAccountAnywhere: Allowance
  signInPerAddress: Allowance
  /** For each network that tries. */
  signUpPerAccount: Allowance
  /** Letters to one address, whoever asks. */
  signUpPerAccountAnywhere: Allowance
  signUpPerAddress: Allowance
  /** Letters with recovery codes: for each network that asks, and for all from which the account has not signed in. */
  recoveryPerAccount: Allowance
  recoveryPerAccountAnywhere: Allowance
  recoveryPerAddress: Allowance
  /** Mailed codes that are tried, for each network or for whoever is signed in. */
  codePerAccount: Allowance
  codePerAddress: Allowance
  /** Letters that somebody signed in has sent to an address. */
  mailPerAccount: Allowance
  /** The same for each address, whoever has them sent. */
  letterPerAddressee: Allowance
  enrolmentPerAddress: Allowance
  /** Password hashes at once, and in line; beyond the line `unavailable`. */
  hashesAtOnce: number
  hashesInLine: number
  /** Sign-up answers at multiples of this time, so that the work behind it can't be told. */
  signUpAnswerMs: number
  /** DPoP proofs remembered; when full, `unavailable` rather than forgetting one that could be replayed. */
  proofsRemembered: number
}
