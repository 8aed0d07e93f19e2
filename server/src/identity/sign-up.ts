import { type AccountId, type Database, newId, Personal, type Tx } from '../core/index.ts'
import type { Vault } from '../vault/index.ts'
import type { SendLetter } from './account-face.ts'
import type { Accounts } from './accounts.ts'
import { evenTime } from './even-time.ts'
import type { Identity, NewPerson } from './face.ts'
import type { MailedCodes } from './mailed-codes.ts'
import type { PasskeyRegistration, Ticket } from './passkey-registration.ts'
import type { Passwords } from './passwords.ts'
import type { RateLimits } from './rate-limits.ts'

interface SignUpOptions {
  database: Database
  vault: Vault
  accounts: Accounts
  passwords: Passwords
  limits: RateLimits
  codes: MailedCodes
  sendLetter: SendLetter
  answerMs: number
  registration: () => PasskeyRegistration
}

/**
 * Nobody may learn from signing up who has an account: the same answer, one password hash either way, and the
 * answer leaves at a multiple of `answerMs` after the question, which drowns the difference between a row that
 * is written and one that is not. With a passkey nothing is looked up before the passkey is made.
 */
export function createSignUp(o: SignUpOptions): Pick<Identity, 'signUp' | 'signUpWithPasskey'> {
  const addCustomer = createAddCustomer(o)

  function check({ email, name, remoteAddress }: Omit<NewPerson, 'password'>): void {
    o.limits.spendForAddress('signUp', remoteAddress)
    o.vault.checkEmail(email)
    o.vault.checkName(name)
  }

  return {
    async signUp(person) {
      const { email, name, password, remoteAddress } = person
      check(person)
      o.limits.spendForAccount('signUp', { kind: 'customer', email, remoteAddress })
      await o.passwords.check(password, person)
      await evenTime(o.answerMs, async () => {
        const accountId = newId<AccountId>()
        const sealedPassword = await o.passwords.seal(accountId, password)
        await o.database.transaction((tx) => addCustomer(tx, { accountId, email, name, sealedPassword }))
      })
    },

    async signUpWithPasskey(person) {
      const { email, name, remoteAddress } = person
      check(person)
      o.limits.spendForAccount('signUp', { kind: 'customer', email, remoteAddress })
      const accountId = newId<AccountId>()
      return await o
        .registration()
        .link({ for: 'customer', accountId, email: email.reveal(), name: name.reveal() })
    },
  }
}

/** The second half of a sign-up with a passkey. */
export function createMakeCustomer(o: CustomerOptions) {
  const addCustomer = createAddCustomer(o)
  return (tx: Tx, { accountId, email, name }: Extract<Ticket, { for: 'customer' }>) =>
    addCustomer(tx, {
      accountId,
      email: new Personal(email),
      name: new Personal(name),
      sealedPassword: undefined,
    })
}

type CustomerOptions = Pick<SignUpOptions, 'vault' | 'accounts' | 'codes' | 'sendLetter'>

/** A letter goes out either way: with a code to a new customer, with the news to whoever has the address. */
function createAddCustomer({ vault, accounts, codes, sendLetter }: CustomerOptions) {
  return async (
    tx: Tx,
    o: { accountId: AccountId; email: Personal; name: Personal; sealedPassword: Buffer | undefined },
  ): Promise<'added' | 'taken'> => {
    const { accountId, email, name, sealedPassword } = o
    const outcome = await vault.add(tx, { accountId, kind: 'customer', email, name })
    if (outcome === 'taken') {
      await sendLetter(tx, { to: email, letter: { kind: 'address_in_use' } })
      return outcome
    }
    await accounts.add(tx, { accountId, kind: 'customer', roles: [], sealedPassword })
    const code = await codes.issue(tx, { accountId, purpose: 'verify_email', address: email })
    await sendLetter(tx, { to: email, letter: { kind: 'email_verification', code } })
    return outcome
  }
}
