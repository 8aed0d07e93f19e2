import {
  type AccountId,
  AppError,
  type Database,
  type Personal,
  type Secret,
  type Tx,
} from '../core/index.ts'
import type { Vault } from '../vault/index.ts'
import type { AccountChanges } from './account-changes.ts'
import type { AccountCare, SendLetter } from './account-face.ts'
import { evenTime } from './even-time.ts'
import type { MailedCodes } from './mailed-codes.ts'
import type { Notices } from './notices.ts'
import type { RateLimits } from './rate-limits.ts'

/** Another address in the place of an account's. */
export function createEmailAddress(o: {
  database: Database
  vault: Vault
  codes: MailedCodes
  notices: Notices
  changes: AccountChanges
  limits: RateLimits
  sendLetter: SendLetter
  isHeldBack: AccountCare['isHeldBack']
  answerMs: number
}): Pick<AccountCare, 'verifyEmail' | 'requestEmailChange'> {
  async function change(accountId: AccountId, code: Secret): Promise<void> {
    const address = await o.codes.attempt(accountId, 'change_email', code)
    if (!address) throw new AppError('code_refused')
    const { email: former } = await o.vault.read(accountId)
    await o.database.transaction(async (tx) => {
      if (!(await o.codes.use(tx, accountId, 'change_email', code))) throw new AppError('code_refused')
      // Somebody else signed up with it and confirmed it meanwhile.
      if ((await o.vault.changeEmail(tx, accountId, address)) === 'taken') throw new AppError('code_refused')
      // What was mailed to the former address opens nothing any more.
      await o.codes.endAll(tx, accountId)
      await o.notices.add(tx, accountId, 'address_changed')
      await o.sendLetter(tx, { to: former, letter: { kind: 'address_changed' } })
    })
    o.changes.notice(accountId)
  }

  /** To somebody who has the address already there is nothing to confirm; they are told that it was tried. */
  async function mailCode(tx: Tx, accountId: AccountId, address: Personal): Promise<void> {
    const holder = await o.vault.findByEmail('customer', address)
    const code = await o.codes.issue(tx, { accountId, purpose: 'change_email', address })
    await o.sendLetter(
      tx,
      holder
        ? { to: address, letter: { kind: 'address_in_use' } }
        : { to: address, letter: { kind: 'email_verification', code } },
    )
  }

  return {
    async verifyEmail(accountId, code) {
      o.limits.spendForSignedIn('code', accountId)
      await change(accountId, code)
    },

    async requestEmailChange(principal, email) {
      if (await o.isHeldBack(principal)) throw new AppError('held_back')
      o.vault.checkEmail(email)
      o.limits.spendForSignedIn('mail', principal.accountId)
      o.limits.spendForLetterTo(email)
      await evenTime(o.answerMs, () =>
        o.database.transaction((tx) => mailCode(tx, principal.accountId, email)),
      )
    },
  }
}
