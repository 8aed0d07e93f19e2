import { Secret as OtpSecret, TOTP } from 'otpauth'
import { afterEach, describe, expect, it } from 'vitest'
import type { SoftwarePasskey } from '../../src/client/software-passkey.ts'
import { Personal, Secret } from '../../src/core/index.ts'
import type { IdentityLimits, Principal } from '../../src/identity/index.ts'
import { answerWithPasskey, makePasskey } from './support/authenticator.ts'
import { ada, type Setup, setUp } from './support/setup.ts'
import { newProofKey, type Tokens, UserAgent } from './support/user-agent.ts'

let s: Setup
afterEach(() => s.close())

const email = ada.email.reveal()
const newPassword = new Secret('another long password')
const nobody = new Personal('nobody@example.org')
const DAY = 86_400

async function setUpAda(limits: Partial<IdentityLimits> = {}): Promise<void> {
  s = await setUp({ limits })
  await s.join(ada)
}

async function principalOf(agent: UserAgent, { access_token }: Tokens): Promise<Principal> {
  return await s.identity.authenticate(await agent.request(access_token))
}

async function session(password = ada.password, remoteAddress?: string) {
  const agent = new UserAgent(s.url, 'hearthlock-cli', remoteAddress)
  const tokens = await agent.signIn(email, password.reveal())
  return { agent, tokens, principal: await principalOf(agent, tokens) }
}

async function mailedCode(): Promise<Secret> {
  await s.identity.requestRecovery({ email: ada.email, remoteAddress: undefined })
  const letter = await s.lastLetter()
  expect(letter).toMatchObject({ kind: 'recovery_code', to: email })
  return letter.code
}

function complete(code: Secret, more: { email?: Personal; otp?: Secret; remoteAddress?: string } = {}) {
  return s.identity.completeRecovery({
    email: ada.email,
    code,
    newPassword,
    remoteAddress: undefined,
    ...more,
  })
}

/** As somebody who knows the password from before. */
function deny(principal: Principal, proof: Partial<Parameters<Setup['identity']['denyRecovery']>[1]> = {}) {
  return s.identity.denyRecovery(principal, { byFreshSignIn: false, formerPassword: ada.password, ...proof })
}

const refused = { code: 'code_refused' }
const wrong = new Secret('00000-00000')

describe('a recovery', () => {
  it('gives a new password, ends the old one, holds back for a day, and tells by letter and notice', async () => {
    await setUpAda()
    const { principal } = await session()
    const code = await mailedCode()
    await complete(new Secret(` ${code.reveal().toLowerCase().replace('-', ' ')} `))
    await expect(session()).rejects.toThrow()
    const recovered = await session(newPassword)
    expect(recovered.principal.accountId).toBe(principal.accountId)
    expect(s.held).toHaveLength(1)
    expect(s.held[0]?.accountId).toBe(principal.accountId)
    expect(((s.held[0]?.untilMs ?? 0) - s.clock.nowMs()) / 1000).toBeGreaterThan(DAY - 60)
    expect(await s.lastLetter()).toMatchObject({ kind: 'recovered', to: email })
    expect(await s.identity.notices(principal.accountId)).toMatchObject([{ kind: 'recovered' }])
  })

  it('leaves the sessions of a confirmed address alone', async () => {
    await setUpAda()
    const { agent, tokens } = await session()
    await complete(await mailedCode())
    await expect(principalOf(agent, tokens)).resolves.toBeTruthy()
    expect((await agent.refresh(tokens.refresh_token)).status).toBe(200)
  })

  it('is announced to whoever listens', async () => {
    await setUpAda()
    const heard: string[] = []
    const stop = s.identity.onNotice(({ accountId }) => void heard.push(accountId))
    await complete(await mailedCode())
    stop()
    expect(heard).toHaveLength(1)
  })

  it('does not begin with a code that is wrong, used, too old, of another address, or for another purpose', async () => {
    await setUpAda()
    await s.join({ ...ada, email: new Personal('eve@example.org') })
    const { principal: before } = await session()
    const code = await mailedCode()
    await expect(complete(wrong)).rejects.toMatchObject(refused)
    await expect(complete(code, { email: new Personal('eve@example.org') })).rejects.toMatchObject(refused)
    await expect(complete(code, { email: nobody })).rejects.toMatchObject(refused)
    await complete(code)
    await expect(complete(code)).rejects.toMatchObject(refused)

    const { principal } = await session(newPassword)
    await s.identity.confirmRecovery(before)
    await s.identity.requestEmailChange(principal, nobody)
    const { code: other } = await s.lastLetter()
    await expect(complete(other)).rejects.toMatchObject(refused)
    await expect(s.identity.verifyEmail(principal.accountId, await mailedCode())).rejects.toMatchObject(
      refused,
    )

    const late = await mailedCode()
    s.clock.advance(15 * 60)
    await expect(complete(late)).rejects.toMatchObject(refused)
  })

  it('happens once when two complete it at the same moment', async () => {
    await setUpAda()
    const code = await mailedCode()
    const outcomes = await Promise.allSettled(Array.from({ length: 4 }, () => complete(code)))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(s.held).toHaveLength(1)
  })

  it('ends all codes that were mailed before', async () => {
    await setUpAda()
    const [one, two] = [await mailedCode(), await mailedCode()]
    await complete(one)
    await expect(complete(two)).rejects.toMatchObject(refused)
  })

  it('asks for a password as good as at the sign-up, and keeps the code for the next try', async () => {
    await setUpAda()
    const code = await mailedCode()
    const weak = { email: ada.email, code, newPassword: new Secret('password123'), remoteAddress: undefined }
    await expect(s.identity.completeRecovery(weak)).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(complete(code)).resolves.toBeUndefined()
  })

  it('stops the codes of an account after a hundred guesses from anywhere', async () => {
    await setUpAda()
    const code = await mailedCode()
    await s.database.pool.query('update identity.mailed_code set tries = 100')
    await expect(complete(code)).rejects.toMatchObject(refused)
  })
})

describe('whether an address has an account', () => {
  it('is not told by asking for a recovery: the same answer, and no letter that should not be', async () => {
    await setUpAda()
    const before = (await s.mail.waiting()).length
    expect(await s.identity.requestRecovery({ email: nobody, remoteAddress: undefined })).toBeUndefined()
    expect(await s.identity.requestRecovery({ email: ada.email, remoteAddress: undefined })).toBeUndefined()
    expect(await s.mail.waiting()).toHaveLength(before + 1)
    const { rows } = await s.database.pool.query('select 1 from identity.mailed_code')
    expect(rows).toHaveLength(1)
  })

  it('is not told by completing one: the same refusal after the same work', async () => {
    await setUpAda()
    await mailedCode()
    const hashes = () => s.identity.stats().identity_passwords_hashed as number
    const before = hashes()
    const known = await complete(wrong).catch((error) => error)
    const between = hashes()
    const unknown = await complete(wrong, { email: nobody }).catch((error) => error)
    expect({ ...unknown, message: unknown.message }).toEqual({ ...known, message: known.message })
    expect([between - before, hashes() - between]).toEqual([1, 1])
  })

  it('is not told by the moment of the answer', async () => {
    await setUpAda({ signUpAnswerMs: 150 })
    for (const address of [ada.email, nobody]) {
      const startedMs = performance.now()
      await s.identity.requestRecovery({ email: address, remoteAddress: undefined })
      // Timers may fire a little early; what matters is that no answer leaves before the step.
      expect(performance.now() - startedMs).toBeGreaterThan(145)
    }
  })

  it('is not told by signing up: whoever has the address gets a letter instead', async () => {
    await setUpAda()
    await s.identity.signUp({ ...ada, password: newPassword })
    expect(await s.lastLetter()).toMatchObject({ kind: 'address_in_use', to: email })
  })
})

describe('a sign-in that was proved before a recovery, and finished after it', () => {
  it('gives nothing', async () => {
    await setUpAda()
    const early = new UserAgent(s.url)
    const answer = await early.answer(await early.begin(), email, ada.password.reveal())
    const { redirectTo } = (await answer.json()) as { redirectTo: string }
    await complete(await mailedCode())
    const response = await early.fetch(redirectTo)
    expect(response.headers.get('location') ?? '').not.toContain('code=')
    const { principal } = await session(newPassword)
    expect(await s.identity.sessions(principal.accountId)).toHaveLength(1)
  })
})

describe('a second factor', () => {
  const otpOf = (secret: Secret, steps: number) =>
    new Secret(
      new TOTP({ secret: OtpSecret.fromBase32(secret.reveal()) }).generate({
        timestamp: s.clock.nowMs() + steps * 30_000,
      }),
    )
  async function turnOn(accountId: Principal['accountId']): Promise<Secret> {
    const { secret } = await s.identity.secondFactor.begin(accountId)
    await s.identity.secondFactor.confirm(accountId, otpOf(secret, -1))
    return secret
  }

  it('is not got around: without it, or with a wrong or used one, the password stays and so does the code', async () => {
    await setUpAda()
    const { principal } = await session()
    const secret = await turnOn(principal.accountId)
    const code = await mailedCode()
    const needed = { code: 'second_factor_needed' }
    await expect(complete(code)).rejects.toMatchObject(needed)
    await expect(complete(code, { otp: new Secret('000000') })).rejects.toMatchObject(needed)
    await expect(complete(code, { otp: otpOf(secret, -1) })).rejects.toMatchObject(needed)
    expect(s.held).toEqual([])
    await complete(code, { otp: otpOf(secret, 0) })
    expect(await s.identity.secondFactor.state(principal.accountId)).toMatchObject({ on: true })
  })

  it('is not asked of whoever has no right code: nobody learns that there is one', async () => {
    await setUpAda()
    await turnOn((await session()).principal.accountId)
    await mailedCode()
    await expect(complete(wrong)).rejects.toMatchObject(refused)
  })

  it('that was set up since a recovery goes when it is denied', async () => {
    await setUpAda()
    const { principal } = await session()
    await complete(await mailedCode())
    await turnOn(principal.accountId)
    await deny(principal)
    expect(await s.identity.secondFactor.state(principal.accountId)).toMatchObject({ on: false })
  })
})

describe('passkeys', () => {
  const addedBy = async (url: string) => (await makePasskey(new UserAgent(s.url), url)).answer.status

  it('cannot be made any more by a link from before a recovery', async () => {
    await setUpAda()
    const { principal } = await session()
    const { url } = await s.identity.passkeys.add(principal)
    s.clock.advance(1)
    await complete(await mailedCode())
    expect(await addedBy(url.reveal())).toBe(404)
    expect(await s.identity.passkeys.list(principal.accountId)).toEqual([])
  })

  it('that were added since go when it is denied, and none from before', async () => {
    await setUpAda()
    const before = await session()
    const { accountId } = before.principal
    expect(await addedBy((await s.identity.passkeys.add(before.principal)).url.reveal())).toBe(200)
    s.clock.advance(1)
    await complete(await mailedCode())
    expect(await addedBy((await s.identity.passkeys.add(before.principal)).url.reveal())).toBe(200)
    const [older] = await s.identity.passkeys.list(accountId)
    await deny(before.principal)
    expect(await s.identity.passkeys.list(accountId)).toEqual([older])
  })
})

describe('after a recovery', () => {
  async function recovered() {
    await setUpAda()
    const before = await session()
    await complete(await mailedCode())
    return { before, since: await session(newPassword) }
  }

  it('a session from before may say "it was me", once', async () => {
    const { before, since } = await recovered()
    expect(await s.identity.isHeldBack(since.principal)).toBe(true)
    expect(await s.identity.isHeldBack(before.principal)).toBe(false)
    await s.identity.confirmRecovery(before.principal)
    expect(s.held.at(-1)).toEqual({ accountId: before.principal.accountId, untilMs: 0 })
    expect(await s.identity.isHeldBack(since.principal)).toBe(false)
    await expect(s.identity.confirmRecovery(before.principal)).rejects.toMatchObject({ code: 'not_found' })
  })

  it('a session since may not judge it, nor one that has ended', async () => {
    const { before, since } = await recovered()
    for (const judge of [s.identity.confirmRecovery, deny])
      await expect(judge(since.principal)).rejects.toMatchObject({ code: 'not_found' })
    await s.identity.endSession(before.principal)
    await expect(s.identity.confirmRecovery(before.principal)).rejects.toMatchObject({
      code: 'unauthenticated',
    })
    expect(s.held).toHaveLength(1)
  })

  it('a second recovery does not make a session since the first one old enough', async () => {
    const { since } = await recovered()
    s.clock.advance(3_600)
    await complete(await mailedCode())
    await expect(s.identity.confirmRecovery(since.principal)).rejects.toMatchObject({ code: 'not_found' })
  })

  it('"it was not me" ends every session since and the codes, nothing older, and the password from before holds', async () => {
    const { before, since } = await recovered()
    const outstanding = await mailedCode()
    await deny(before.principal)
    await expect(principalOf(since.agent, since.tokens)).rejects.toMatchObject({ code: 'unauthenticated' })
    await expect(principalOf(before.agent, before.tokens)).resolves.toBeTruthy()
    await expect(session(newPassword)).rejects.toThrow()
    await expect(session()).resolves.toBeTruthy()
    await expect(complete(outstanding)).rejects.toMatchObject(refused)
    expect(await s.lastLetter()).toMatchObject({ kind: 'recovery_denied' })
    expect(await s.identity.notices(before.principal.accountId)).toMatchObject([{ kind: 'recovery_denied' }])
    await expect(deny(before.principal)).rejects.toMatchObject({ code: 'not_found' })
    await complete(await mailedCode())
    await expect(session(newPassword)).resolves.toBeTruthy()
  })

  it('a session since can neither end older ones nor change the address, until a day has passed', async () => {
    const { before, since } = await recovered()
    const held = { code: 'held_back' }
    const { principal } = since
    await expect(s.identity.endOtherSessions(principal)).rejects.toMatchObject(held)
    await expect(s.identity.endAllSessions(principal)).rejects.toMatchObject(held)
    await expect(s.identity.endOneSession(principal, before.principal.sessionId)).rejects.toMatchObject(held)
    const change = s.identity.changePassword(principal, {
      current: newPassword,
      next: new Secret('eleven nanoseconds'),
      byFreshSignIn: true,
    })
    await expect(change).rejects.toMatchObject(held)
    const elsewhere = new Personal('eve@example.org')
    await expect(s.identity.requestEmailChange(principal, elsewhere)).rejects.toMatchObject(held)
    await expect(principalOf(before.agent, before.tokens)).resolves.toBeTruthy()
    s.clock.advance(DAY)
    await s.identity.endOtherSessions(principal)
    await expect(principalOf(before.agent, before.tokens)).rejects.toMatchObject({ code: 'unauthenticated' })
  })

  it('it can be denied for a week', async () => {
    const { before } = await recovered()
    s.clock.advance(7 * DAY - 1)
    await expect(deny(before.principal)).resolves.toBeUndefined()
    await complete(await mailedCode())
    s.clock.advance(7 * DAY)
    await expect(deny(before.principal)).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('whoever denies a recovery', () => {
  const recovered = async () => {
    await setUpAda({ codePerAccount: { burst: 2, everySeconds: 60 } })
    const [stolen, own] = [await session(), await session()]
    await complete(await mailedCode())
    return { stolen, own }
  }
  const undone = async () =>
    (await s.identity.notices((await session(newPassword)).principal.accountId)).length

  it('needs more than a session from before, which may be stolen', async () => {
    const { stolen } = await recovered()
    const missing = deny(stolen.principal, { formerPassword: undefined })
    await expect(missing).rejects.toMatchObject({ code: 'fresh_sign_in_needed' })
    for (const guess of [newPassword, new Secret('a guess at the password')])
      await expect(deny(stolen.principal, { formerPassword: guess })).rejects.toMatchObject({
        code: 'invalid_request',
      })
    expect(await undone()).toBe(1)
  })

  it('guesses at the password at their own cost, and leaves the owner’s tries alone', async () => {
    const { stolen, own } = await recovered()
    const guess = () => deny(stolen.principal, { formerPassword: new Secret('a guess') })
    for (let i = 0; i < 2; i++) await expect(guess()).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(guess()).rejects.toMatchObject({ code: 'rate_limited' })
    await expect(deny(own.principal)).resolves.toBeUndefined()
  })

  it('may have signed in a moment ago instead', async () => {
    const { own } = await recovered()
    await deny(own.principal, { formerPassword: undefined, byFreshSignIn: true })
    await expect(session()).resolves.toBeTruthy()
  })

  it('needs the second factor from before as well, and none that was set up since', async () => {
    await setUpAda()
    const { principal } = await session()
    const turnOn = async () => {
      const { secret } = await s.identity.secondFactor.begin(principal.accountId)
      const totp = new TOTP({ secret: OtpSecret.fromBase32(secret.reveal()) })
      const code = (steps: number) =>
        new Secret(totp.generate({ timestamp: s.clock.nowMs() + steps * 30_000 }))
      await s.identity.secondFactor.confirm(principal.accountId, code(-1))
      return code
    }
    const code = await turnOn()
    s.clock.advance(1)
    await complete(await mailedCode(), { otp: code(0) })
    const needed = { code: 'second_factor_needed' }
    await expect(deny(principal)).rejects.toMatchObject(needed)
    await expect(deny(principal, { otp: new Secret('000000') })).rejects.toMatchObject(needed)
    await deny(principal, { otp: code(1) })

    s.clock.advance(60)
    await s.identity.secondFactor.remove(principal.accountId, code(0))
    await complete(await mailedCode())
    await turnOn()
    await deny(principal)
    expect(await s.identity.secondFactor.state(principal.accountId)).toMatchObject({ on: false })
  })

  it('can do so each time, for the proof comes back with the password', async () => {
    await setUpAda()
    const { principal } = await session()
    for (let i = 0; i < 2; i++) {
      await complete(await mailedCode())
      await complete(await mailedCode())
      await deny(principal)
      await expect(session()).resolves.toBeTruthy()
    }
  })
})

describe('a sign-in after a recovery', () => {
  async function signedInWith(passkey: SoftwarePasskey): Promise<Principal> {
    const agent = new UserAgent(s.url)
    agent.key = await newProofKey()
    const { redirectTo } = (await (await answerWithPasskey(agent, passkey)).json()) as { redirectTo: string }
    const code = (await agent.resume(redirectTo)).get('code') as string
    return await principalOf(agent, (await (await agent.exchange(code)).json()) as Tokens)
  }
  async function added(by: Principal): Promise<SoftwarePasskey> {
    const { url } = await s.identity.passkeys.add(by)
    return (await makePasskey(new UserAgent(s.url), url.reveal())).passkey
  }

  it('with a passkey from before is its owner’s: not held back, judges, and stays when it is denied', async () => {
    await setUpAda()
    const passkey = await added((await session()).principal)
    s.clock.advance(1)
    await complete(await mailedCode())
    const principal = await signedInWith(passkey)
    expect(await s.identity.isHeldBack(principal)).toBe(false)
    await deny(principal, { formerPassword: undefined, byFreshSignIn: true })
    expect(await s.identity.isSessionLive(principal.sessionId)).toBe(true)
    await complete(await mailedCode())
    await s.identity.confirmRecovery(await signedInWith(passkey))
  })

  it('with a passkey that was added since is held back, and judges nothing', async () => {
    await setUpAda()
    await complete(await mailedCode())
    const passkey = await added((await session(newPassword)).principal)
    const principal = await signedInWith(passkey)
    expect(await s.identity.isHeldBack(principal)).toBe(true)
    await expect(deny(principal, { byFreshSignIn: true })).rejects.toMatchObject({ code: 'not_found' })
    await expect(s.identity.confirmRecovery(principal)).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('limits', () => {
  const few = { burst: 2, everySeconds: 60 }
  const ask = (address: Personal, remoteAddress: string) =>
    s.identity.requestRecovery({ email: address, remoteAddress })
  const limited = { code: 'rate_limited', retryAfterSeconds: expect.closeTo(60, -1) }

  it('on letters: for one network and one address, alike whether it has an account', async () => {
    await setUpAda({ recoveryPerAccount: few })
    for (const address of [ada.email, nobody]) {
      for (let i = 0; i < 2; i++) await ask(address, '192.0.2.1')
      await expect(ask(address, '192.0.2.1')).rejects.toMatchObject(limited)
      await expect(ask(address, '198.51.100.1')).resolves.toBeUndefined()
    }
    s.clock.advance(60)
    await expect(ask(ada.email, '192.0.2.1')).resolves.toBeUndefined()
  })

  it('on letters: for many networks together, but not for one from which the account has signed in', async () => {
    await setUpAda({ recoveryPerAccountAnywhere: few })
    await session(ada.password, '203.0.113.5')
    for (let i = 1; i <= 2; i++) await ask(ada.email, `192.0.2.${i}`)
    await expect(ask(ada.email, '192.0.2.3')).rejects.toMatchObject(limited)
    await expect(ask(ada.email, '203.0.113.5')).resolves.toBeUndefined()
  })

  it('on letters: for one network and all addresses', async () => {
    await setUpAda({ recoveryPerAddress: few })
    for (let i = 1; i <= 2; i++) await ask(new Personal(`n${i}@example.org`), '192.0.2.1')
    await expect(ask(ada.email, '192.0.2.1')).rejects.toMatchObject(limited)
  })

  it('on codes: a stranger’s guesses shut out only the stranger', async () => {
    await setUpAda({ codePerAccount: few })
    const code = await mailedCode()
    for (let i = 0; i < 2; i++)
      await expect(complete(wrong, { remoteAddress: '192.0.2.1' })).rejects.toMatchObject(refused)
    await expect(complete(code, { remoteAddress: '192.0.2.1' })).rejects.toMatchObject(limited)
    await expect(complete(code, { remoteAddress: '198.51.100.1' })).resolves.toBeUndefined()
  })

  it('on codes: for one network and all addresses', async () => {
    await setUpAda({ codePerAddress: few })
    const code = await mailedCode()
    for (let i = 1; i <= 2; i++)
      await expect(
        complete(wrong, { email: new Personal(`n${i}@example.org`), remoteAddress: '192.0.2.1' }),
      ).rejects.toMatchObject(refused)
    await expect(complete(code, { remoteAddress: '192.0.2.1' })).rejects.toMatchObject(limited)
  })
})

it('a copy of the tables tells neither code nor address, and no time finer than an hour', async () => {
  await setUpAda()
  await session()
  const code = await mailedCode()
  await complete(code)
  await mailedCode()
  for (const table of ['mailed_code', 'session', 'recovery', 'notice']) {
    const { rows } = await s.database.pool.query(`select * from identity.${table}`)
    expect(rows.length, table).toBeGreaterThan(0)
    for (const row of rows) {
      for (const value of Object.values(row)) {
        if (value instanceof Date) expect(value.getTime() % 3_600_000).toBe(0)
        const bytes = Buffer.isBuffer(value) ? value : Buffer.from(String(value))
        for (const known of [
          email,
          code.reveal(),
          code.reveal().replace('-', ''),
          'hearthlock-cli',
          'recovered',
        ])
          expect(bytes.includes(known)).toBe(false)
      }
    }
  }
})
