import { LRUCache } from 'lru-cache'
import { type AccountId, AppError, type Clock, network, type Personal } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import { normaliseEmail } from '../vault/index.ts'
import type { AccountKind, Allowance, IdentityLimits } from './face.ts'

type Act = 'begin' | 'signIn' | 'signUp' | 'enrolment' | 'recovery' | 'code'
type AccountAct = 'signIn' | 'signUp' | 'recovery' | 'code'

export interface RateLimits {
  /** @throws AppError rate_limited */
  spendForAddress(act: Act, remoteAddress: string | undefined): void
  /**
   * Each limit for an account holds for one network at a time: a stranger who fails on purpose shuts out nobody
   * else. What many networks fail together is bounded too, but not for those from which the account signed in before.
   * @throws AppError rate_limited
   */
  spendForAccount(act: AccountAct, account: Claimed): void
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

interface Bucket {
  tokens: number
  atMs: number
}

// About 10 MB at most; beyond it the longest unused bucket goes.
const MAX_BUCKETS = 50_000
const MAX_FAMILIAR = 50_000

/**
 * Token buckets in memory. An account is named by a keyed digest of its address, whether it exists or not, so a
 * refusal says nothing about that, and a memory dump names nobody.
 */
export function createRateLimits(o: { keys: Keys; clock: Clock; limits: IdentityLimits }): RateLimits {
  const buckets = new LRUCache<string, Bucket>({ max: MAX_BUCKETS })
  /** Networks from which an account has signed in; forgotten when this process ends. */
  const familiar = new LRUCache<string, true>({ max: MAX_FAMILIAR })
  const digests = o.keys.purpose('identity.limits')
  let refused = 0

  function current(key: string, allowance: Allowance): Bucket {
    const nowMs = o.clock.nowMs()
    const bucket = buckets.get(key) ?? { tokens: allowance.burst, atMs: nowMs }
    const regained = Math.max(0, nowMs - bucket.atMs) / (allowance.everySeconds * 1000)
    return { tokens: Math.min(allowance.burst, bucket.tokens + regained), atMs: nowMs }
  }

  function spend(key: string, allowance: Allowance): void {
    const bucket = current(key, allowance)
    if (bucket.tokens < 1) {
      refused++
      const retryAfterSeconds = Math.ceil((1 - bucket.tokens) * allowance.everySeconds)
      throw new AppError('rate_limited', { retryAfterSeconds })
    }
    buckets.set(key, { ...bucket, tokens: bucket.tokens - 1 })
  }

  function giveBack(key: string, allowance: Allowance): void {
    const bucket = current(key, allowance)
    buckets.set(key, { ...bucket, tokens: Math.min(allowance.burst, bucket.tokens + 1) })
  }

  const digestOf = (kind: AccountKind, email: Personal) =>
    digests.digest(`${kind}:${normaliseEmail(email.reveal())}`).toString('base64')
  const from = (remoteAddress: string | undefined) =>
    remoteAddress === undefined ? 'unknown' : network(remoteAddress)
  const perAccount = {
    signIn: o.limits.signInPerAccount,
    signUp: o.limits.signUpPerAccount,
    recovery: o.limits.recoveryPerAccount,
    code: o.limits.codePerAccount,
  }
  const anywhere = {
    signIn: o.limits.signInPerAccountAnywhere,
    recovery: o.limits.recoveryPerAccountAnywhere,
    signUp: undefined,
    code: undefined,
  }
  const perAddress = {
    begin: o.limits.beginPerAddress,
    signIn: o.limits.signInPerAddress,
    signUp: o.limits.signUpPerAddress,
    enrolment: o.limits.enrolmentPerAddress,
    recovery: o.limits.recoveryPerAddress,
    code: o.limits.codePerAddress,
  }

  return {
    spendForAddress(act, remoteAddress) {
      if (remoteAddress) spend(`${act}:address:${network(remoteAddress)}`, perAddress[act])
    },
    spendForAccount(act, { kind, email, remoteAddress }) {
      const account = digestOf(kind, email)
      const there = `${account}:${from(remoteAddress)}`
      spend(`${act}:account:${there}`, perAccount[act])
      const together = anywhere[act]
      if (together && !familiar.has(there)) spend(`${act}:anywhere:${account}`, together)
    },
    spendForSignedIn(act, accountId) {
      spend(`${act}:signed-in:${accountId}`, act === 'mail' ? o.limits.mailPerAccount : perAccount.code)
    },
    spendForSession(act, sessionId) {
      spend(`${act}:session:${sessionId}`, perAccount.code)
    },
    signedIn({ kind, email, remoteAddress }) {
      const account = digestOf(kind, email)
      const there = `${account}:${from(remoteAddress)}`
      giveBack(`signIn:account:${there}`, perAccount.signIn)
      if (!familiar.has(there)) giveBack(`signIn:anywhere:${account}`, o.limits.signInPerAccountAnywhere)
      familiar.set(there, true)
    },
    get refused() {
      return refused
    },
  }
}
