import { isIPv6 } from 'node:net'
import { LRUCache } from 'lru-cache'
import { AppError, type Clock, type Personal } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { AccountKind, Allowance, IdentityLimits } from './face.ts'

type Act = 'begin' | 'signIn' | 'signUp' | 'enrolment'

export interface RateLimits {
  /** @throws AppError rate_limited */
  spendForAddress(act: Act, remoteAddress: string | undefined): void
  /** @throws AppError rate_limited */
  spendForAccount(act: 'signIn' | 'signUp', kind: AccountKind, email: Personal): void
  /** After a right password: only wrong ones count against an account. */
  giveBackForAccount(act: 'signIn', kind: AccountKind, email: Personal): void
  readonly refused: number
}

interface Bucket {
  tokens: number
  atMs: number
}

// About 10 MB at most; beyond it the longest unused bucket goes.
const MAX_BUCKETS = 50_000

/**
 * Token buckets in memory. An account is named by a keyed digest of its address, whether it exists or not, so a
 * refusal says nothing about that, and a memory dump names nobody.
 */
export function createRateLimits(o: { keys: Keys; clock: Clock; limits: IdentityLimits }): RateLimits {
  const buckets = new LRUCache<string, Bucket>({ max: MAX_BUCKETS })
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

  const accountKey = (act: Act, kind: AccountKind, email: Personal) => {
    const address = email.reveal().normalize('NFC').trim().toLowerCase()
    return `${act}:account:${digests.digest(`${kind}:${address}`).toString('base64')}`
  }
  const perAccount = { signIn: o.limits.signInPerAccount, signUp: o.limits.signUpPerAccount }
  const perAddress = {
    begin: o.limits.beginPerAddress,
    signIn: o.limits.signInPerAddress,
    signUp: o.limits.signUpPerAddress,
    enrolment: o.limits.enrolmentPerAddress,
  }

  return {
    spendForAddress(act, remoteAddress) {
      if (remoteAddress) spend(`${act}:address:${network(remoteAddress)}`, perAddress[act])
    },
    spendForAccount: (act, kind, email) => spend(accountKey(act, kind, email), perAccount[act]),
    giveBackForAccount(act, kind, email) {
      const key = accountKey(act, kind, email)
      const bucket = current(key, perAccount[act])
      buckets.set(key, { ...bucket, tokens: Math.min(perAccount[act].burst, bucket.tokens + 1) })
    },
    get refused() {
      return refused
    },
  }
}

/** One IPv4 address, or an IPv6 /64: what one subscriber usually holds, and can change within at will. */
export function network(remoteAddress: string): string {
  const address = remoteAddress
    .toLowerCase()
    .replace(/^::ffff:(?=\d+\.)/, '')
    .replace(/%.*$/, '')
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.split('::')
  const left = head ? head.split(':') : []
  const right = tail ? tail.split(':') : []
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length
  const groups = [...left, ...Array<string>(Math.max(0, zeros)).fill('0'), ...right]
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}
