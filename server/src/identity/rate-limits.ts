import { LRUCache } from 'lru-cache'
import { type AccountId, AppError, type Clock, network, type Personal, widerNetworks } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import { normaliseEmail } from '../vault/index.ts'
import { type CountingBucket, type CountingBuckets, createCountingBuckets } from './counting-buckets.ts'
import type { AccountKind, Allowance, IdentityLimits } from './face.ts'

type Act = 'begin' | 'signIn' | 'signUp' | 'enrolment' | 'recovery' | 'code'
type AccountAct = 'signIn' | 'signUp' | 'recovery' | 'code'

export interface RateLimits {
  /** @throws AppError rate_limited */
  spendForAddress(act: Act, remoteAddress: string | undefined): void
  /**
   * Each limit for an account holds for one network at a time: a stranger who fails on purpose shuts out nobody
   * else. What many networks fail together is bounded too, but for signing in and recovering not for those from which the
   * account signed in before.
   * @throws AppError rate_limited
   */
  spendForAccount(act: AccountAct, account: Claimed): void
  /** Letters that somebody signed in has sent to an address, from wherever. @throws AppError rate_limited */
  spendForLetterTo(email: Personal): void
  /** By whoever is signed in: letters to themselves, codes that they type. @throws AppError rate_limited */
  spendForSignedIn(act: 'mail' | 'code', accountId: AccountId): void
  /** What one session shows beside itself. @throws AppError rate_limited */
  spendForSession(act: 'proof', sessionId: string): void
  /** After a right password: only wrong ones count against an account. */
  signedIn(account: Claimed): void
  readonly refused: number
}

/** The account that somebody claims to be, from where. */
export interface Claimed {
  kind: AccountKind
  email: Personal
  remoteAddress: string | undefined
}

/** Accounts whose networks are remembered, and how many of each: one account does not push out the others. */
const MAX_FAMILIAR = 50_000
const FAMILIAR_NETWORKS = 8
/** What the networks around an IPv6 /64 may do together: a /48 is one subscriber, or a few; a /32 is a whole provider. */
const WIDER = [16, 1_000]

/**
 * Token buckets in memory. An account is named by a keyed digest of its address, whether it exists or not, so a
 * refusal says nothing about that, and a memory dump names nobody.
 */
export function createRateLimits(o: { keys: Keys; clock: Clock; limits: IdentityLimits }): RateLimits {
  const { limits } = o
  /** By account, the networks from which it has signed in; forgotten when this process ends. */
  const familiar = new LRUCache<string, string[]>({ max: MAX_FAMILIAR })
  const digests = o.keys.purpose('identity.limits')
  let refused = 0

  const of = (allowance: Allowance) => createCountingBuckets({ clock: o.clock, allowance })
  const around = (allowance: Allowance) =>
    [1, ...WIDER].map((times) =>
      of({ burst: allowance.burst * times, everySeconds: allowance.everySeconds / times }),
    )
  const perAccount = {
    signIn: of(limits.signInPerAccount),
    signUp: of(limits.signUpPerAccount),
    recovery: of(limits.recoveryPerAccount),
    code: of(limits.codePerAccount),
  }
  const anywhere = {
    signIn: of(limits.signInPerAccountAnywhere),
    recovery: of(limits.recoveryPerAccountAnywhere),
    signUp: of(limits.signUpPerAccountAnywhere),
    code: undefined,
  }
  const perAddress = {
    begin: around(limits.beginPerAddress),
    signIn: around(limits.signInPerAddress),
    signUp: around(limits.signUpPerAddress),
    enrolment: around(limits.enrolmentPerAddress),
    recovery: around(limits.recoveryPerAddress),
    code: around(limits.codePerAddress),
  }
  const letters = of(limits.letterPerAddressee)
  const signedIn = { mail: of(limits.mailPerAccount), code: of(limits.codePerAccount) }
  const proofs = of(limits.codePerAccount)

  /** All or none: whoever is refused by one of them uses up none of the others. */
  function spend(...all: CountingBucket[]): void {
    const retryAfterSeconds = Math.max(...all.map((bucket) => bucket.waitSeconds()))
    if (retryAfterSeconds > 0) {
      refused++
      throw new AppError('rate_limited', { retryAfterSeconds })
    }
    for (const bucket of all) bucket.spend()
  }

  const digestOf = (kind: AccountKind, email: Personal) =>
    digests.digest(`${kind}:${normaliseEmail(email.reveal())}`).toString('base64')
  const from = (remoteAddress: string | undefined) =>
    remoteAddress === undefined ? 'unknown' : network(remoteAddress)
  const isFamiliar = (account: string, there: string) => familiar.get(account)?.includes(there) ?? false

  return {
    spendForAddress(act, remoteAddress) {
      if (!remoteAddress) return
      const names = [network(remoteAddress), ...widerNetworks(remoteAddress)]
      spend(...names.map((name, width) => (perAddress[act][width] as CountingBuckets)(name)))
    },
    spendForAccount(act, { kind, email, remoteAddress }) {
      const account = digestOf(kind, email)
      const there = from(remoteAddress)
      const own = perAccount[act](`${account}:${there}`)
      const together = anywhere[act]
      const exempt = act !== 'signUp' && isFamiliar(account, there)
      if (together && !exempt) spend(own, together(account))
      else spend(own)
    },
    spendForLetterTo(email) {
      spend(letters(digestOf('customer', email)))
    },
    spendForSignedIn(act, accountId) {
      spend(signedIn[act](accountId))
    },
    spendForSession(_act, sessionId) {
      spend(proofs(sessionId))
    },
    signedIn({ kind, email, remoteAddress }) {
      const account = digestOf(kind, email)
      const there = from(remoteAddress)
      perAccount.signIn(`${account}:${there}`).giveBack()
      if (!isFamiliar(account, there)) anywhere.signIn(account).giveBack()
      const others = (familiar.get(account) ?? []).filter((each) => each !== there)
      familiar.set(account, [there, ...others].slice(0, FAMILIAR_NETWORKS))
    },
    get refused() {
      return refused
    },
  }
}
