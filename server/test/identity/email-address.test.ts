import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type AccountId, Personal, Secret } from '../../src/core/index.ts'
import type { IdentityLimits, Principal } from '../../src/identity/index.ts'
import { ada, type Setup, setUp } from './support/setup.ts'
import { UserAgent } from './support/user-agent.ts'

let s: Setup
let principal: Principal
let accountId: AccountId
const start = async (limits: Partial<IdentityLimits> = {}) => {
  s = await setUp({ limits })
  await s.join(ada)
  const agent = new UserAgent(s.url)
  const { access_token } = await agent.signIn(ada.email.reveal(), ada.password.reveal())
  principal = await s.identity.authenticate(await agent.request(access_token))
  accountId = principal.accountId
}
beforeEach(() => start())
afterEach(() => s.close())

const other = new Personal('Ada.New@example.org')
const refused = { code: 'code_refused' }

describe('codes for another address', () => {
  it('do not work when wrong, too old, or sent for another account', async () => {
    await s.join({ ...ada, email: new Personal('eve@example.org') })
    const eve = new UserAgent(s.url)
    const { access_token } = await eve.signIn('eve@example.org', ada.password.reveal())
    await s.identity.requestEmailChange(await s.identity.authenticate(await eve.request(access_token)), other)
    const { code: eves } = await s.lastLetter()
    await expect(s.identity.verifyEmail(accountId, eves)).rejects.toMatchObject(refused)
    await expect(s.identity.verifyEmail(accountId, new Secret('00000-00000'))).rejects.toMatchObject(refused)
    await s.identity.requestEmailChange(principal, other)
    const { code } = await s.lastLetter()
    s.clock.advance(15 * 60)
    await expect(s.identity.verifyEmail(accountId, code)).rejects.toMatchObject(refused)
    expect((await s.vault.read(accountId)).email.reveal()).toBe('ada@example.org')
  })

  it('are bounded, in letters and in guesses', async () => {
    await s.close()
    const few = { burst: 2, everySeconds: 60 }
    await start({ mailPerAccount: few, codePerAccount: few })
    // A minute, less what has passed meanwhile.
    const limited = { code: 'rate_limited', retryAfterSeconds: expect.closeTo(60, -1) }
    for (let i = 0; i < 2; i++) await s.identity.requestEmailChange(principal, other)
    await expect(s.identity.requestEmailChange(principal, other)).rejects.toMatchObject(limited)
    const guess = () => s.identity.verifyEmail(accountId, new Secret('00000-00000'))
    for (let i = 0; i < 2; i++) await expect(guess()).rejects.toMatchObject(refused)
    await expect(guess()).rejects.toMatchObject(limited)
  })
})

describe('letters to another address', () => {
  it('are bounded for all who have them sent there', async () => {
    await s.close()
    await start({ letterPerAddressee: { burst: 2, everySeconds: 60 } })
    await s.join({ ...ada, email: new Personal('eve@example.org') })
    const eve = new UserAgent(s.url)
    const { access_token } = await eve.signIn('eve@example.org', ada.password.reveal())
    const eves = await s.identity.authenticate(await eve.request(access_token))
    for (let i = 0; i < 2; i++) await s.identity.requestEmailChange(principal, other)
    await expect(s.identity.requestEmailChange(eves, other)).rejects.toMatchObject({ code: 'rate_limited' })
    await s.identity.requestEmailChange(eves, new Personal('eve.new@example.org'))
  })
})

describe('another address', () => {
  it('becomes the account’s when its code comes back, and the former one is told', async () => {
    await s.identity.requestEmailChange(principal, other)
    const letter = await s.lastLetter()
    expect(letter).toMatchObject({ kind: 'email_verification', to: 'Ada.New@example.org' })
    expect((await s.vault.read(accountId)).email.reveal()).toBe('ada@example.org')
    await s.identity.verifyEmail(accountId, letter.code)
    expect((await s.vault.read(accountId)).email.reveal()).toBe('Ada.New@example.org')
    expect(await s.lastLetter()).toMatchObject({ kind: 'address_changed', to: 'ada@example.org' })
    expect(await s.identity.notices(accountId)).toMatchObject([{ kind: 'address_changed' }])
    const agent = new UserAgent(s.url)
    await expect(agent.signIn('ada.new@example.org', ada.password.reveal())).resolves.toBeTruthy()
    await expect(new UserAgent(s.url).signIn('ada@example.org', ada.password.reveal())).rejects.toThrow()
  })

  it('ends the codes that were mailed to the former one', async () => {
    await s.identity.requestRecovery({ email: ada.email, remoteAddress: undefined })
    const { code: former } = await s.lastLetter()
    await s.identity.requestEmailChange(principal, other)
    await s.identity.verifyEmail(accountId, (await s.lastLetter()).code)
    await expect(
      s.identity.completeRecovery({
        email: other,
        code: former,
        newPassword: new Secret('another long password'),
        remoteAddress: undefined,
      }),
    ).rejects.toMatchObject(refused)
  })

  it('that somebody has answers alike, tells its owner, and changes nothing', async () => {
    await s.join({ ...ada, email: other })
    expect(await s.identity.requestEmailChange(principal, other)).toBeUndefined()
    expect(await s.lastLetter()).toMatchObject({ kind: 'address_in_use', to: 'Ada.New@example.org' })
    expect((await s.vault.read(accountId)).email.reveal()).toBe('ada@example.org')
  })

  it('that somebody took meanwhile stays theirs', async () => {
    await s.identity.requestEmailChange(principal, other)
    const { code } = await s.lastLetter()
    await s.join({ ...ada, email: other })
    await expect(s.identity.verifyEmail(accountId, code)).rejects.toMatchObject(refused)
    expect((await s.vault.read(accountId)).email.reveal()).toBe('ada@example.org')
  })

  it('goes to one of two who want it at the same moment', async () => {
    await s.join({ ...ada, email: new Personal('eve@example.org') })
    const eve = new UserAgent(s.url)
    const { access_token } = await eve.signIn('eve@example.org', ada.password.reveal())
    const eves = await s.identity.authenticate(await eve.request(access_token))
    await s.identity.requestEmailChange(principal, other)
    const { code: mine } = await s.lastLetter()
    await s.identity.requestEmailChange(eves, other)
    const { code: hers } = await s.lastLetter()
    const outcomes = await Promise.allSettled([
      s.identity.verifyEmail(accountId, mine),
      s.identity.verifyEmail(eves.accountId, hers),
    ])
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })
})
