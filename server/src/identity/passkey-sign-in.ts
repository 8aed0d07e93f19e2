import { randomBytes } from 'node:crypto'
import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server'
import { idToBytes, type Log } from '../core/index.ts'
import type { Accounts } from './accounts.ts'
import type { AccountKind } from './face.ts'
import type { OneUse } from './one-use.ts'
import type { Passkeys } from './passkeys.ts'
import type { RateLimits } from './rate-limits.ts'
import type { SignedIn } from './sign-in.ts'
import { isCredential, refusedPasskey, type WebAuthn } from './webauthn.ts'

/** A challenge, kept under the name of what it was made for. */
export interface Challenge {
  challenge: string
}

export interface PasskeySignIn {
  /** The same for everybody: which passkeys there are is the authenticator's knowledge, not ours. */
  options(interaction: string): Promise<PublicKeyCredentialRequestOptionsJSON>
  /** @throws AppError sign_in_refused, alike for every reason; rate_limited */
  signIn(attempt: {
    interaction: string
    kind: AccountKind
    response: unknown
    remoteAddress: string | undefined
  }): Promise<SignedIn>
}

/** As long as the interaction: a browser that offers passkeys while a person types holds its challenge so long. */
const VALID_SECONDS = 15 * 60

export function newChallenge(): string {
  return randomBytes(32).toString('base64url')
}

export function createPasskeySignIn(o: {
  webauthn: WebAuthn
  passkeys: Passkeys
  accounts: Accounts
  challenges: OneUse<Challenge>
  limits: RateLimits
  log: Log
}): PasskeySignIn {
  const nameOf = (interaction: string) => `interaction ${interaction}`
  return {
    async options(interaction) {
      const challenge = newChallenge()
      await o.challenges.put(nameOf(interaction), { challenge }, VALID_SECONDS)
      return await o.webauthn.requestOptions(challenge)
    },

    async signIn({ interaction, kind, response, remoteAddress }) {
      o.limits.spendForAddress('signIn', remoteAddress)
      // Used up by the attempt, whatever comes of it.
      const waiting = await o.challenges.take(nameOf(interaction))
      if (!waiting) throw refusedPasskey('no challenge waits for this sign-in')
      if (!isCredential(response)) throw refusedPasskey('not a credential')
      const stored = await o.passkeys.find(response.id)
      if (!stored) throw refusedPasskey('nobody has this passkey')
      const account = await o.accounts.find(stored.accountId)
      if (account?.kind !== kind) throw refusedPasskey('a passkey of the other kind of account')
      // Section 7.2 step 6: a discoverable credential says whose it is.
      if (response.response.userHandle !== userHandleOf(account.accountId).toString('base64url')) {
        throw refusedPasskey('another user handle')
      }
      const { counter } = await o.webauthn.verifyAssertion(response, waiting.challenge, stored.credential)
      if ((await o.passkeys.used(stored.passkeyId, counter)) === 'copied') {
        o.log.warn('a passkey was refused: its counter did not grow, so somebody may have a copy of it', {
          passkeyId: stored.passkeyId,
        })
        throw refusedPasskey('section 6.1.1: the counter did not grow')
      }
      return {
        accountId: account.accountId,
        methods: [stored.credential.synced ? 'swk' : 'hwk'],
        passkeySinceMs: stored.addedAtMs,
      }
    },
  }
}

/** Opaque, as section 14.6.1 asks: the account's id names nobody outside. */
export function userHandleOf(accountId: Parameters<typeof idToBytes>[0]): Buffer<ArrayBuffer> {
  return Buffer.from(idToBytes(accountId))
}
