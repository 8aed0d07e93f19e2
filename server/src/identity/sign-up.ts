import { type AccountId, AppError, type Database, newId, Personal, type Tx } from '../core/index.ts'
import type { Vault } from '../vault/index.ts'
import type { SendLetter } from './account-face.ts'
import type { Accounts } from './accounts.ts'
import { evenTime } from './even-time.ts'
import type { Identity } from './face.ts'
import type { PasskeyRegistration, Ticket } from './passkey-registration.ts'
import type { Passwords } from './passwords.ts'
import type { RateLimits } from './rate-limits.ts'
import type { Applicant, SignUps } from './sign-ups.ts'

interface SignUpOptions {
  database: Database
  vault: Vault
  accounts: Accounts
  passwords: Passwords
  limits: RateLimits
  signUps: SignUps
  sendLetter: SendLetter
  answerMs: number
  registration: () => PasskeyRegistration
}

/**
 * Nobody may learn from signing up who has an account. So there is none before the code has come back that only the
 * address's owner reads: what is answered, written and mailed until then is the same for an address that has one, and its
 * answer leaves at a multiple of `answerMs` after the question. The account gets the credential of the very sign-up whose
 * handle comes with the code: who signs up with somebody else's address can neither block them nor plant anything.
 */
export function createSignUp(o: SignUpOptions): Pick<Identity, 'signUp' | 'confirmSignUp'> {
  const addCustomer = createAddCustomer(o)

  /** One row and one letter, either way; the code of an address that has an account is told to nobody. */
  async function begin(tx: Tx, applicant: Applicant): Promise<string> {
    const { email } = applicant
    const holder = await o.vault.findByEmail('customer', email)
    const { signUpId, code } = await o.signUps.begin(tx, applicant)
    await o.sendLetter(
      tx,
      holder
        ? { to: email, letter: { kind: 'address_in_use' } }
        : { to: email, letter: { kind: 'sign_up', code } },
    )
    return signUpId
  }

  return {
    async signUp(person) {
      const { email, name, password, remoteAddress } = person
      o.limits.spendForAddress('signUp', remoteAddress)
      o.vault.checkEmail(email)
      o.vault.checkName(name)
      o.limits.spendForAccount('signUp', { kind: 'customer', email, remoteAddress })
      if (password) await o.passwords.check(password, person)
      return await evenTime(o.answerMs, async () => {
        const accountId = newId<AccountId>()
        const sealedPassword = password && (await o.passwords.seal(accountId, password))
        const signUpId = await o.database.transaction((tx) =>
          begin(tx, { accountId, email, name, sealedPassword }),
        )
        return { signUpId }
      })
    },

    async confirmSignUp({ signUpId, code, remoteAddress }) {
      o.limits.spendForAddress('code', remoteAddress)
      const applicant = await o.signUps.attempt(signUpId, code)
      if (!applicant) throw new AppError('code_refused')
      await o.database.transaction(async (tx) => {
        if (!(await o.signUps.use(tx, signUpId))) throw new AppError('code_refused')
        if (applicant.sealedPassword) await addCustomer(tx, applicant)
      })
      if (applicant.sealedPassword) return undefined
      const { accountId, email, name } = applicant
      return await o
        .registration()
        .link({ for: 'customer', accountId, email: email.reveal(), name: name.reveal() })
    },
  }
}

/** The last step of a sign-up with a passkey. */
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

type CustomerOptions = Pick<SignUpOptions, 'vault' | 'accounts'>

function createAddCustomer({ vault, accounts }: CustomerOptions) {
  return async (tx: Tx, { accountId, email, name, sealedPassword }: Applicant): Promise<void> => {
    const outcome = await vault.add(tx, { accountId, kind: 'customer', email, name })
    // Another sign-up with it was quicker. Only who reads the address's mail comes as far as here.
    if (outcome === 'taken') {
      throw new AppError('conflict', {
        message: 'This address has an account by now. Sign in, or choose "Forgot password".',
      })
    }
    await accounts.add(tx, { accountId, kind: 'customer', roles: [], sealedPassword })
  }
}
