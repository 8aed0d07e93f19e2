import {
  type AccountId,
  AppError,
  type Clock,
  type Database,
  newId,
  type PresentedInVain,
  type Secret,
  type Tx,
} from '../core/index.ts'
import type { Vault } from '../vault/index.ts'
import type { AccountChanges } from './account-changes.ts'
import type { AccountCare, Asking, DenialProof, Holds, SendLetter } from './account-face.ts'
import type { Accounts } from './accounts.ts'
import { isBeforeRecovery } from './before-recovery.ts'
import { evenTime } from './even-time.ts'
import type { MailedCodes } from './mailed-codes.ts'
import type { Notices } from './notices.ts'
import type { Passwords } from './passwords.ts'
import type { RateLimits } from './rate-limits.ts'
import type { Recoveries, Recovery } from './recoveries.ts'
import type { Session, Sessions } from './sessions.ts'

/** What else than a password an account can sign in with, or needs beside it. */
export interface OtherCredentials {
  /**
   * Counts a wrong code as a try, and uses a right one up.
   * @throws AppError second_factor_needed when the account has one and `otp` is missing or wrong
   */
  checkSecondFactor(
    accountId: AccountId,
    otp: Secret | undefined,
    o?: { onlyIfBeforeMs: number },
  ): Promise<void>
  /** Those that were added at that time or later. */
  removeSince(tx: Tx, accountId: AccountId, sinceMs: number): Promise<void>
}

export interface RecoveryOptions {
  database: Database
  clock: Clock
  vault: Vault
  accounts: Accounts
  passwords: Passwords
  codes: MailedCodes
  recoveries: Recoveries
  sessions: Sessions
  notices: Notices
  changes: AccountChanges
  limits: RateLimits
  others: OtherCredentials
  sendLetter: SendLetter
  holds: Holds
  presentedInVain: PresentedInVain
  answerMs: number
}

/** Thrown inside a transaction whose rows are there for their time only. */
class NobodyThere extends Error {}

/** Back into an account by a code that is mailed to its address. */
export function createRecovery(
  o: RecoveryOptions,
): Pick<
  AccountCare,
  'requestRecovery' | 'completeRecovery' | 'confirmRecovery' | 'denyRecovery' | 'isHeldBack'
> {
  const changed = (accountId: AccountId) => {
    o.changes.sessions(accountId)
    o.changes.notice(accountId)
  }

  async function ownSession({ accountId, sessionId }: Asking): Promise<Session> {
    const session = (await o.sessions.list(accountId)).find((candidate) => candidate.sessionId === sessionId)
    if (!session) throw new AppError('unauthenticated', { detail: 'the session has ended' })
    return session
  }

  /** Only a session from before may judge a recovery: the others may be the thief's. */
  async function judged(principal: Asking): Promise<Recovery> {
    const recovery = await o.recoveries.find(principal.accountId)
    if (!recovery || !isBeforeRecovery(await ownSession(principal), recovery)) throw new AppError('not_found')
    return recovery
  }

  /** Whoever has a session only could otherwise undo each recovery by the account's owner, for ever. */
  async function prove(principal: Asking, recovery: Recovery, proof: DenialProof): Promise<void> {
    if (proof.byFreshSignIn) return
    if (!proof.formerPassword) throw new AppError('fresh_sign_in_needed')
    const { accountId, sessionId } = principal
    // For each session: whoever has a stolen one does not use up the owner's tries.
    o.limits.spendForSession('proof', sessionId)
    const former = { accountId, sealedPassword: recovery.formerPassword }
    const { right } = await o.passwords.verify(proof.formerPassword, former)
    if (!right)
      throw new AppError('invalid_request', { message: 'That is not the password from before the recovery.' })
    // One that was set up since may be the thief's.
    await o.others.checkSecondFactor(accountId, proof.otp, { onlyIfBeforeMs: recovery.atMs })
  }

  return {
    async requestRecovery({ email, remoteAddress }) {
      o.limits.spendForAddress('recovery', remoteAddress)
      o.vault.checkEmail(email)
      o.limits.spendForAccount('recovery', { kind: 'customer', email, remoteAddress })
      await evenTime(o.answerMs, async () => {
        const found = await o.vault.findByEmail('customer', email)
        const accountId = found ?? newId<AccountId>()
        try {
          // The same rows either way, and taken back where nobody is to read the letter.
          await o.database.transaction(async (tx) => {
            const code = await o.codes.issue(tx, { accountId, purpose: 'recover', address: email })
            await o.sendLetter(tx, { to: accountId, letter: { kind: 'recovery_code', code } })
            if (!found) throw new NobodyThere()
          })
        } catch (error) {
          if (!(error instanceof NobodyThere)) throw error
          o.presentedInVain('recovery', [email.reveal()])
        }
      })
    },

    async completeRecovery({ email, code, newPassword, otp, remoteAddress }) {
      o.limits.spendForAddress('code', remoteAddress)
      o.vault.checkEmail(email)
      o.limits.spendForAccount('code', { kind: 'customer', email, remoteAddress })
      await o.passwords.check(newPassword, { email })
      await evenTime(o.answerMs, async () => {
        const accountId = (await o.vault.findByEmail('customer', email)) ?? newId<AccountId>()
        const account = await o.accounts.find(accountId)
        const sealedPassword = await o.passwords.seal(accountId, newPassword)
        const right = await o.codes.attempt(accountId, 'recover', code)
        if (!right || !account) {
          o.presentedInVain('recovery', [email.reveal(), code.reveal()])
          throw new AppError('code_refused')
        }
        await o.others.checkSecondFactor(accountId, otp)
        await o.database.transaction(async (tx) => {
          if (!(await o.codes.use(tx, accountId, 'recover', code))) throw new AppError('code_refused')
          const replaced = await o.accounts.replacePassword(tx, accountId, sealedPassword)
          await o.codes.endAll(tx, accountId)
          const { waitsUntilMs } = await o.recoveries.begin(tx, accountId, replaced)
          await o.holds.begin(tx, accountId, waitsUntilMs)
          await o.notices.add(tx, accountId, 'recovered')
          await o.sendLetter(tx, { to: accountId, letter: { kind: 'recovered' } })
        })
        changed(accountId)
      })
    },

    async confirmRecovery(principal) {
      await judged(principal)
      const { accountId } = principal
      await o.database.transaction(async (tx) => {
        if (!(await o.recoveries.end(tx, accountId))) throw new AppError('not_found')
        await o.holds.end(tx, accountId)
        await o.notices.removeKind(tx, accountId, 'recovered')
      })
    },

    async denyRecovery(principal, proof) {
      const recovery = await judged(principal)
      await prove(principal, recovery, proof)
      const { accountId } = principal
      await o.database.transaction(async (tx) => {
        await o.accounts.replacePassword(tx, accountId, recovery.formerPassword)
        if (!(await o.recoveries.end(tx, accountId))) throw new AppError('not_found')
        // Two disagree about an account: whoever is right, its locks wait for the rest of the day.
        await o.sessions.end(tx, accountId, (session) => !isBeforeRecovery(session, recovery))
        await o.others.removeSince(tx, accountId, recovery.atMs)
        await o.codes.endAll(tx, accountId)
        await o.notices.removeKind(tx, accountId, 'recovered')
        await o.notices.add(tx, accountId, 'recovery_denied')
        await o.sendLetter(tx, { to: accountId, letter: { kind: 'recovery_denied' } })
      })
      changed(accountId)
    },

    async isHeldBack(principal) {
      const recovery = await o.recoveries.find(principal.accountId)
      if (!recovery || recovery.waitsUntilMs <= o.clock.nowMs()) return false
      return !isBeforeRecovery(await ownSession(principal), recovery)
    },
  }
}
