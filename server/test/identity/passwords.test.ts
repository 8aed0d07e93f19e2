import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AccountId, newId, Personal, Secret, silentLog, systemClock } from '../../src/core/index.ts'
import { createBoundedLine } from '../../src/identity/bounded-line.ts'
import { createCheckPassword } from '../../src/identity/password-rules.ts'
import { createPasswordStrength } from '../../src/identity/password-strength.ts'
import { createPasswords, recommended } from '../../src/identity/passwords.ts'
import { createKeys, type Keys, keysMigrations, memoryKeyProvider, place } from '../../src/keys/index.ts'
import { createTestDatabase } from '../support/database.ts'

const cheap = { memoryKib: 64, passes: 1, lanes: 1 }
const accountId = newId<AccountId>()
const password = new Secret('correct horse battery')
let database: Awaited<ReturnType<typeof createTestDatabase>>
let keys: Keys

async function newKeys(): Promise<Keys> {
  return createKeys({ provider: memoryKeyProvider(), database, clock: systemClock, log: silentLog })
}
const passwords = (cost = cheap, by = keys) =>
  createPasswords({ keys: by, hashesAtOnce: 2, hashesInLine: 4, cost })

beforeAll(async () => {
  database = await createTestDatabase([keysMigrations])
  keys = await newKeys()
  await keys.start()
})
afterAll(async () => {
  await keys.close()
  await database.drop()
})

describe('a stored password', () => {
  it('is right only for itself', async () => {
    const sealedPassword = await passwords().seal(accountId, password)
    expect(await passwords().verify(password, { accountId, sealedPassword })).toEqual({
      right: true,
      stale: false,
    })
    const wrong = new Secret('correct horse batterz')
    expect(await passwords().verify(wrong, { accountId, sealedPassword })).toEqual({
      right: false,
      stale: false,
    })
  })

  it('has the cost that OWASP recommends', async () => {
    expect(recommended).toEqual({ memoryKib: 19_456, passes: 2, lanes: 1 })
    const sealed = await createPasswords({ keys, hashesAtOnce: 1, hashesInLine: 1 }).seal(accountId, password)
    const text = keys
      .purpose('identity.password')
      .unseal(place('identity.account.password', accountId), sealed)
    expect(text.toString()).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1,keyid=[A-Za-z0-9+/]+\$/)
  })

  it('shows no hash, and is not the same twice', async () => {
    const [one, two] = [
      await passwords().seal(accountId, password),
      await passwords().seal(accountId, password),
    ]
    expect(one.toString('latin1')).not.toContain('argon2')
    expect(one.equals(two)).toBe(false)
  })

  it('does not open in the row of another account', async () => {
    const sealedPassword = await passwords().seal(accountId, password)
    const moved = passwords().verify(password, { accountId: newId<AccountId>(), sealedPassword })
    await expect(moved).rejects.toMatchObject({ code: 'integrity_failed' })
  })

  it('is useless under another root key, even when the seal is broken', async () => {
    const sealedPassword = await passwords().seal(accountId, password)
    const encoded = keys
      .purpose('identity.password')
      .unseal(place('identity.account.password', accountId), sealedPassword)
    const others = await newKeys()
    const resealed = others
      .purpose('identity.password')
      .seal(place('identity.account.password', accountId), encoded)
    const { right } = await passwords(cheap, others).verify(password, { accountId, sealedPassword: resealed })
    expect(right).toBe(false)
  })

  it('is due to be sealed anew when the cost has changed', async () => {
    const sealedPassword = await passwords().seal(accountId, password)
    const dearer = passwords({ ...cheap, passes: 2 })
    expect(await dearer.verify(password, { accountId, sealedPassword })).toEqual({ right: true, stale: true })
  })

  it('is the same however an accent was typed', async () => {
    const sealedPassword = await passwords().seal(accountId, new Secret('caf\u00e9 au lait'))
    const { right } = await passwords().verify(new Secret('cafe\u0301 au lait'), {
      accountId,
      sealedPassword,
    })
    expect(right).toBe(true)
  })

  it('costs one hash, with an account and without', async () => {
    const counted = passwords()
    const sealedPassword = await counted.seal(accountId, password)
    expect(counted.stats().hashed).toBe(1)
    await counted.verify(password, { accountId, sealedPassword })
    expect(counted.stats().hashed).toBe(2)
    expect(await counted.verify(password, undefined)).toEqual({ right: false, stale: false })
    expect(counted.stats().hashed).toBe(3)
  })
})

describe('the line for hashing', () => {
  it('lets so many run, so many wait, and refuses the rest', async () => {
    const line = createBoundedLine({ atOnce: 2, inLine: 3, retryAfterSeconds: 2 })
    let running = 0
    let most = 0
    const gate = Promise.withResolvers<void>()
    const work = async () => {
      most = Math.max(most, ++running)
      await gate.promise
      running--
    }
    const all = Array.from({ length: 6 }, () => line.run(work))
    const outcomes = Promise.allSettled(all)
    expect(line.waiting).toBe(3)
    gate.resolve()
    const refused = (await outcomes).filter(({ status }) => status === 'rejected')
    expect(refused).toMatchObject([{ reason: { code: 'unavailable', retryAfterSeconds: 2 } }])
    expect(most).toBe(2)
    await expect(line.run(async () => 'free again')).resolves.toBe('free again')
  })

  it('goes on after work that failed', async () => {
    const line = createBoundedLine({ atOnce: 1, inLine: 1, retryAfterSeconds: 2 })
    const failing = line.run(() => Promise.reject(new Error('no')))
    const next = line.run(async () => 'yes')
    await expect(failing).rejects.toThrow('no')
    await expect(next).resolves.toBe('yes')
  })
})

describe('a new password', () => {
  const strength = createPasswordStrength()
  const checkPassword = createCheckPassword(strength)
  afterAll(() => strength.close())
  const person = { email: new Personal('Grace@Example.org'), name: new Personal('Grace Brewster Hopper') }
  const check = (text: string) => checkPassword(new Secret(text), person)

  it.each([
    ['nine characters', 'abcdefgh1', /at least 10/],
    ['257 characters', `${'abcd'.repeat(64)}e`, /at most 256/],
    ['the address itself', 'grace@example.org', /e-mail address/],
    ['the address in it', '1-grace@example.org-1', /e-mail address/],
    ['one that everybody tries', 'Password1234', /similar to a commonly used password/],
    ['few different characters', 'ababababababab', /Repeated/],
    ['a row of the keyboard', 'qwertyuiopasdf', /too easy to guess/],
    ['a long one of few parts', 'aB3$'.repeat(60), /Repeated/],
    ["the person's own name", 'BrewsterHopper', /too easy to guess/],
    ["the address's domain and a year", 'example-1906', /too easy to guess/],
  ])('is refused, and told why: %s', async (_what, text, why) => {
    await expect(check(text)).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringMatching(why),
    })
  })

  it("is refused when it is the address's name", async () => {
    const owner = { email: new Personal('gracehopper@example.org') }
    await expect(checkPassword(new Secret('GraceHopper'), owner)).rejects.toThrow('e-mail address')
  })

  it.each(['seven nanoseconds', 'grace of the sea', 'xkQ7-mauve-lantern', '🔑🏠🔥🪵🔑🏠🔥🪵🔑🏠'])(
    'is taken: %s',
    async (text) => {
      await expect(check(text)).resolves.toBeUndefined()
    },
  )

  it('is judged beside everything else: while it is, this thread goes on', async () => {
    let turns = 0
    const turning = setInterval(() => (turns += 1), 1)
    await Promise.allSettled(Array.from({ length: 8 }, () => check('aB3$'.repeat(60))))
    clearInterval(turning)
    expect(turns).toBeGreaterThan(8)
  })

  it('is judged again after the judging thread has ended', async () => {
    await strength.close()
    await expect(check('Password1234')).rejects.toMatchObject({ code: 'invalid_request' })
  })

  it('is never repeated in the refusal', async () => {
    for (const weak of ['abcdefgh1', 'Password1234', 'ababababababab']) {
      await expect(check(weak)).rejects.toMatchObject({ message: expect.not.stringContaining(weak) })
    }
  })
})
