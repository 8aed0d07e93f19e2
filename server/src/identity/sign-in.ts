import {
  type AccountId,
  AppError,
  newId,
  type Personal,
  type PresentedInVain,
  type Secret,
} from '../core/index.ts'
import type { Vault } from '../vault/index.ts'
import type { Accounts } from './accounts.ts'
import type { AccountKind, SignInMethod } from './face.ts'
import type { Passwords } from './passwords.ts'
import type { RateLimits } from './rate-limits.ts'

export interface Credentials {
  kind: AccountKind
  email: Personal
  password: Secret
  remoteAddress: string | undefined
}

export interface SignedIn {
  accountId: AccountId
  methods: SignInMethod[]
  /** Since when the account has had the passkey that proved it. */
  passkeySinceMs?: number
}

/** @throws AppError sign_in_refused (address and password alike), rate_limited, unavailable */
export type SignIn = (credentials: Credentials) => Promise<SignedIn>

/** The same look-ups and one password hash, whether or not there is an account. */
export function createSignIn(o: {
  vault: Vault
  accounts: Accounts
  passwords: Passwords
  limits: RateLimits
  presentedInVain: PresentedInVain
}): SignIn {
  return async ({ kind, email, password, remoteAddress }) => {
    // Looked at by nobody: there is none, and what is typed here may be somebody's password elsewhere.
    if (kind === 'operator') {
      o.presentedInVain('sign-in', [email.reveal()])
      throw new AppError('sign_in_refused', { message: 'Operators sign in with a passkey.' })
    }
    o.limits.spendForAddress('signIn', remoteAddress)
    o.limits.spendForAccount('signIn', { kind, email, remoteAddress })
    const accountId = await o.vault.findByEmail(kind, email)
    const account = await o.accounts.find(accountId ?? newId<AccountId>())
    const { right, stale } = await o.passwords.verify(password, account)
    if (!right || account?.kind !== kind) {
      o.presentedInVain('sign-in', [email.reveal(), password.reveal()])
      throw new AppError('sign_in_refused')
    }
    o.limits.signedIn({ kind, email, remoteAddress })
    if (stale && account.sealedPassword) {
      const to = await o.passwords.seal(account.accountId, password)
      await o.accounts.resealPassword(account.accountId, { from: account.sealedPassword, to })
    }
    return { accountId: account.accountId, methods: ['pwd'] }
  }
}
