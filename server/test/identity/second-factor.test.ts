import { Secret as OtpSecret, TOTP } from 'otpauth'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type AccountId, Secret } from '../../src/core/index.ts'
import { answerWithPasskey, makePasskey, post } from './support/authenticator.ts'
import { ada, type Setup, setUp } from './support/setup.ts'
import { newProofKey, type Tokens, UserAgent } from './support/user-agent.ts'

let s: Setup
let accountId: AccountId
beforeEach(async () => {
  s = await setUp()
  await s.join(ada)
  accountId = (await s.vault.findByEmail('customer', ada.email)) as AccountId
})
afterEach(() => s.close())

const email = ada.email.reveal()
const password = ada.password.reveal()
const code = (secret: Secret, steps = 0) =>
  new TOTP({ secret: OtpSecret.fromBase32(secret.reveal()) }).generate({
    timestamp: s.clock.nowMs() + steps * 30_000,
  })

async function turnOn(): Promise<{ secret: Secret; recovery: Secret[] }> {
  const { secret } = await s.identity.secondFactor.begin(accountId)
  const recovery = await s.identity.secondFactor.confirm(accountId, new Secret(code(secret, -1)))
  return { secret, recovery }
}
async function withPassword(): Promise<{ agent: UserAgent; interaction: string }> {
  const agent = new UserAgent(s.url)
  const interaction = await agent.begin()
  const answer = await agent.answer(interaction, email, password)
  expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([
    422,
    'second_factor_needed',
  ])
  return { agent, interaction }
}
async function status(text: string): Promise<number> {
  const { agent, interaction } = await withPassword()
  return (await post(agent, interaction, { code: text })).status
}

describe('with a second factor', () => {
  it('a password alone does not sign in; with the code it does, and the sign-in says so', async () => {
    const { secret } = await turnOn()
    const { agent, interaction } = await withPassword()
    agent.key = await newProofKey()
    const answer = await post(agent, interaction, { code: code(secret) })
    const { redirectTo } = (await answer.json()) as { redirectTo: string }
    const exchanged = await agent.exchange((await agent.resume(redirectTo)).get('code') as string)
    const { access_token } = (await exchanged.json()) as Tokens
    const principal = await s.identity.authenticate(await agent.request(access_token))
    expect(principal.methods).toEqual(['pwd', 'otp'])
  })

  it('a code comes after the password, in the same sign-in, within five minutes', async () => {
    const { secret } = await turnOn()
    const agent = new UserAgent(s.url)
    expect((await post(agent, await agent.begin(), { code: code(secret) })).status).toBe(401)
    const { agent: late, interaction } = await withPassword()
    s.clock.advance(5 * 60)
    expect((await post(late, interaction, { code: code(secret) })).status).toBe(401)
  })

  it('a wrong password does not ask for a code', async () => {
    await turnOn()
    const agent = new UserAgent(s.url)
    expect((await agent.answer(await agent.begin(), email, 'wrong password')).status).toBe(401)
  })

  it('each code works once, also for two at the same moment, and none before it', async () => {
    const { secret } = await turnOn()
    const now = code(secret)
    const ways = [await withPassword(), await withPassword(), await withPassword()]
    const answers = await Promise.all(ways.map((way) => post(way.agent, way.interaction, { code: now })))
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 422, 422])
    expect(await status(code(secret, -1))).toBe(422)
    expect(await status(code(secret, 1))).toBe(200)
  })

  it('a code of one step away is right, of two it is not', async () => {
    const { secret } = await turnOn()
    expect(await status(code(secret, 2))).toBe(422)
    expect(await status(code(secret, -2))).toBe(422)
    expect(await status(code(secret, 1))).toBe(200)
  })

  it('guessing is slow, whatever network it comes from, and the wait is said', async () => {
    const { secret } = await turnOn()
    for (let i = 0; i < 5; i++) expect(await status('000000')).toBe(422)
    const { agent, interaction } = await withPassword()
    const refused = await post(agent, interaction, { code: code(secret) })
    expect(refused.status).toBe(429)
    // Five minutes, less what passed since the first of them.
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(200)
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(300)
    s.clock.advance(300)
    expect(await status(code(secret))).toBe(200)
  })

  it('each recovery code works once in place of the app', async () => {
    const { recovery } = await turnOn()
    expect(recovery).toHaveLength(10)
    const [first, second] = recovery as [Secret, Secret]
    expect(await status(first.reveal().toLowerCase())).toBe(200)
    expect(await status(first.reveal())).toBe(422)
    expect(await status(second.reveal())).toBe(200)
    expect(await s.identity.secondFactor.state(accountId)).toEqual({ on: true, recoveryCodes: 8 })
  })

  it('a passkey needs no code', async () => {
    const owner = new UserAgent(s.url)
    const { access_token } = await owner.signIn(email, password)
    await turnOn()
    const { url } = await s.identity.passkeys.add(
      await s.identity.authenticate(await owner.request(access_token)),
    )
    const { passkey } = await makePasskey(new UserAgent(s.url), url.reveal())
    expect((await answerWithPasskey(new UserAgent(s.url), passkey)).status).toBe(200)
  })

  it('the page asks for the code, says when it was wrong, and leads back to the app', async () => {
    const { secret } = await turnOn()
    const agent = new UserAgent(s.url)
    const path = await agent.begin()
    const submit = (fields: Record<string, string>) =>
      agent.fetch(path, {
        method: 'POST',
        headers: {
          accept: 'text/html',
          'content-type': 'application/x-www-form-urlencoded',
          origin: s.url,
        },
        body: new URLSearchParams(fields).toString(),
      })
    expect(await (await submit({ email, password })).text()).toContain('autocomplete="one-time-code"')
    expect(await (await submit({ code: '000000' })).text()).toContain('not right, or was used before')
    expect(await (await submit({ code: code(secret) })).text()).toContain('Add a passkey?')
  })
})

describe('setting it up', () => {
  it('counts only when a first code has come, within a quarter of an hour', async () => {
    const { secret } = await s.identity.secondFactor.begin(accountId)
    await new UserAgent(s.url).signIn(email, password)
    const wrong = s.identity.secondFactor.confirm(accountId, new Secret('000000'))
    await expect(wrong).rejects.toMatchObject({ code: 'second_factor_needed' })
    s.clock.advance(15 * 60 + 1)
    const late = s.identity.secondFactor.confirm(accountId, new Secret(code(secret)))
    await expect(late).rejects.toMatchObject({ code: 'conflict' })
  })

  it('gives what an app can scan, with the address as its label', async () => {
    const { uri } = await s.identity.secondFactor.begin(accountId)
    expect(decodeURIComponent(uri.reveal())).toMatch(
      /^otpauth:\/\/totp\/Hearthlock:ada@example.org\?issuer=Hearthlock&secret=/,
    )
  })

  it('is not begun anew over one that is on', async () => {
    await turnOn()
    await expect(s.identity.secondFactor.begin(accountId)).rejects.toMatchObject({ code: 'conflict' })
  })

  it('is taken back with a right code only', async () => {
    const { secret } = await turnOn()
    const { remove } = s.identity.secondFactor
    await expect(remove(accountId, new Secret('000000'))).rejects.toMatchObject({
      code: 'second_factor_needed',
    })
    await remove(accountId, new Secret(code(secret)))
    await new UserAgent(s.url).signIn(email, password)
  })
})
