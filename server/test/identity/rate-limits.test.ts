import { describe, expect, it } from 'vitest'
import { Personal, silentLog, systemClock } from '../../src/core/index.ts'
import type { IdentityLimits } from '../../src/identity/index.ts'
import { createRateLimits, type RateLimits } from '../../src/identity/rate-limits.ts'
import { createKeys, memoryKeyProvider } from '../../src/keys/index.ts'

const roomy = { burst: 1_000_000, everySeconds: 1 }
const few = { burst: 2, everySeconds: 3_600 }
const names = [
  'beginPerAddress',
  'signInPerAccount',
  'signInPerAccountAnywhere',
  'signInPerAddress',
  'signUpPerAccount',
  'signUpPerAccountAnywhere',
  'signUpPerAddress',
  'recoveryPerAccount',
  'recoveryPerAccountAnywhere',
  'recoveryPerAddress',
  'codePerAccount',
  'codePerAddress',
  'mailPerAccount',
  'letterPerAddressee',
  'enrolmentPerAddress',
] as const

/** Digests need no database. */
const keys = createKeys({
  provider: memoryKeyProvider(),
  database: undefined as never,
  clock: systemClock,
  log: silentLog,
})

function limited(limits: Partial<IdentityLimits>): RateLimits {
  const all = Object.fromEntries(names.map((name) => [name, roomy])) as unknown as IdentityLimits
  return createRateLimits({ keys, clock: systemClock, limits: { ...all, ...limits } })
}
function allowed(spend: () => void): boolean {
  try {
    spend()
    return true
  } catch (error) {
    expect(error).toMatchObject({ code: 'rate_limited', retryAfterSeconds: expect.any(Number) })
    return false
  }
}
const group = (n: number) => n.toString(16)

describe('limits for networks', () => {
  it('cannot be shaken off from a large IPv6 range: its /48 and its /32 are counted, too', () => {
    const limits = limited({ signInPerAddress: few })
    const from = (address: string) => allowed(() => limits.spendForAddress('signIn', address))
    const inOne48 = Array.from({ length: 1_000 }, (_, i) => from(`2001:db8:7:${group(i)}::1`))
    expect(inOne48.filter(Boolean)).toHaveLength(16 * few.burst)
    const inOne32 = Array.from({ length: 5_000 }, (_, i) => from(`2001:db9:${group(i)}::1`))
    expect(inOne32.filter(Boolean)).toHaveLength(1_000 * few.burst)
    expect(from('2001:dba::1')).toBe(true)
    expect(from('192.0.2.1')).toBe(true)
  })

  it('of one refused network leave its neighbours what they have', () => {
    const limits = limited({ signInPerAddress: few })
    const from = (address: string) => allowed(() => limits.spendForAddress('signIn', address))
    expect(Array.from({ length: 1_000 }, () => from('2001:db8:7:1::1')).filter(Boolean)).toHaveLength(2)
    expect(from('2001:db8:7:2::1')).toBe(true)
  })

  it('are kept for a network however many others come', () => {
    const limits = limited({ signInPerAddress: few })
    const from = (address: string) => allowed(() => limits.spendForAddress('signIn', address))
    for (let i = 0; i < 2; i++) from('192.0.2.1')
    for (let i = 0; i < 60_000; i++) from(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
    expect(from('192.0.2.1')).toBe(false)
  })
})

describe('letters to one address', () => {
  const target = new Personal('ada@example.org')
  const network = (i: number) => `192.0.2.${i}`

  it.each(['signUp', 'recovery'] as const)('are bounded for all who ask by %s together', (act) => {
    const limits = limited({ signUpPerAccountAnywhere: few, recoveryPerAccountAnywhere: few })
    const ask = (i: number, email = target) =>
      allowed(() => limits.spendForAccount(act, { kind: 'customer', email, remoteAddress: network(i) }))
    expect([1, 2, 3, 4].map((i) => ask(i))).toEqual([true, true, false, false])
    expect(ask(5, new Personal('ADA@example.org '))).toBe(false)
    expect(ask(6, new Personal('grace@example.org'))).toBe(true)
  })

  it('are bounded for all who are signed in and have them sent', () => {
    const limits = limited({ letterPerAddressee: few })
    const ask = (email: Personal) => allowed(() => limits.spendForLetterTo(email))
    expect([1, 2, 3].map(() => ask(target))).toEqual([true, true, false])
    expect(ask(new Personal('grace@example.org'))).toBe(true)
  })
})

describe('networks from which an account has signed in', () => {
  const account = (i: number, remoteAddress: string) => ({
    kind: 'customer' as const,
    email: new Personal(`person-${i}@example.org`),
    remoteAddress,
  })

  it('stay known while one other account signs in from everywhere', () => {
    const limits = limited({ signInPerAccountAnywhere: few })
    const home = account(1, '198.51.100.1')
    limits.spendForAccount('signIn', home)
    limits.signedIn(home)
    for (let i = 0; i < 60_000; i++) limits.signedIn(account(2, `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`))
    for (let i = 0; i < 2; i++) limits.spendForAccount('signIn', account(1, `192.0.2.${i}`))
    expect(allowed(() => limits.spendForAccount('signIn', account(1, '192.0.2.9')))).toBe(false)
    expect(allowed(() => limits.spendForAccount('signIn', home))).toBe(true)
  })
})
