import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { type AccountId, Personal, Secret } from '../../src/core/index.ts'
import type { IdentityOptions } from '../../src/identity/index.ts'
import { ada, type Setup, setUp } from './support/setup.ts'
import { UserAgent } from './support/user-agent.ts'

let s: Setup
afterEach(() => s.close())

const email = ada.email.reveal()
const password = ada.password.reveal()
const stranger = 'nobody@example.org'
const hashes = () => s.identity.stats().identity_passwords_hashed as number

async function attempt(
  address: string,
  secret: string,
  clientId?: string,
  remoteAddress?: string,
): Promise<{ status: number; body: unknown }> {
  const agent = new UserAgent(s.url, clientId, remoteAddress)
  const answer = await agent.answer(await agent.begin(), address, secret)
  return { status: answer.status, body: await answer.json() }
}

describe('whether an account exists', () => {
  it('is not told by signing in: the same answer and the same work', async () => {
    s = await setUp()
    await s.join(ada)
    const before = hashes()
    const wrong = await attempt(email, 'not the password')
    const between = hashes()
    const unknown = await attempt(stranger, 'not the password')
    expect(wrong).toEqual(unknown)
    expect(wrong.status).toBe(401)
    expect([between - before, hashes() - between]).toEqual([1, 1])
    const noAddress = await attempt('no address', 'not the password')
    expect(noAddress).toEqual(unknown)
  })

  it('is not told by signing up: the same answer and the same work, and the account stays as it was', async () => {
    s = await setUp()
    await s.join(ada)
    expect(hashes()).toBe(1)
    const again = {
      ...ada,
      email: new Personal('ADA@Example.org '),
      password: new Secret('another password'),
    }
    expect(await s.identity.signUp(again)).toEqual({ signUpId: expect.stringMatching(/^[0-9a-f-]{36}$/) })
    expect(hashes()).toBe(2)
    expect((await attempt(email, 'another password')).status).toBe(401)
    expect((await attempt(email, password)).status).toBe(200)
    const { rows } = await s.database.pool.query('select 1 from identity.account')
    expect(rows).toHaveLength(1)
  })

  it('is not told by the limits', async () => {
    s = await setUp({ limits: { signInPerAccount: { burst: 2, everySeconds: 60 } } })
    await s.join(ada)
    for (const address of [email, stranger]) {
      expect((await attempt(address, 'wrong')).status).toBe(401)
      expect((await attempt(address, 'wrong')).status).toBe(401)
      const limited = await attempt(address, 'wrong')
      expect(limited).toMatchObject({ status: 429, body: { code: 'rate_limited' } })
    }
  })

  it('is not told by the moment of the answer to a sign-up', async () => {
    const answerMs = 150
    s = await setUp({ limits: { signUpAnswerMs: answerMs } })
    for (let i = 0; i < 2; i++) {
      const startedMs = performance.now()
      await s.identity.signUp(ada)
      // Timers may fire a little early; what matters is that no answer leaves before the step.
      expect(performance.now() - startedMs).toBeGreaterThan(answerMs - 5)
    }
  })
})

describe('limits', () => {
  const few = { burst: 2, everySeconds: 60 }
  const setUpWith = async (limits: IdentityOptions['limits']) => {
    s = await setUp({ limits })
    await s.join(ada)
  }

  it('stop guessing at one account, say when to go on, and then let go on', async () => {
    await setUpWith({ signInPerAccount: few })
    const agent = new UserAgent(s.url)
    const interaction = await agent.begin()
    for (let i = 0; i < 2; i++) await agent.answer(interaction, email, 'wrong')
    const limited = await agent.answer(interaction, email, password)
    expect(limited.status).toBe(429)
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(50)
    s.clock.advance(60)
    expect((await agent.answer(interaction, email, password)).status).toBe(200)
  })

  it('let the right password in from elsewhere while a stranger fails on purpose, at any spelling of the address', async () => {
    await setUpWith({ signInPerAccount: few })
    const from = async (remoteAddress: string, address: string, secret: string) =>
      (await attempt(address, secret, undefined, remoteAddress)).status
    for (const spelling of [email, email.toUpperCase()])
      expect(await from('192.0.2.66', spelling, 'wrong')).toBe(401)
    expect(await from('192.0.2.66', email, password)).toBe(429)
    expect(await from('198.51.100.1', email, password)).toBe(200)
  })

  it('bound what many networks guess together, but not the network from which the account has signed in', async () => {
    await setUpWith({ signInPerAccountAnywhere: { burst: 3, everySeconds: 60 } })
    const from = async (remoteAddress: string, secret: string) =>
      (await attempt(email, secret, undefined, remoteAddress)).status
    expect(await from('198.51.100.1', password)).toBe(200)
    for (let i = 1; i <= 3; i++) expect(await from(`192.0.2.${i}`, 'wrong')).toBe(401)
    expect(await from('192.0.2.9', 'wrong')).toBe(429)
    expect(await from('198.51.100.1', 'wrong')).toBe(401)
    expect(await from('198.51.100.1', password)).toBe(200)
  })

  it('leave signing up to others when a stranger used up an address on purpose', async () => {
    s = await setUp({ limits: { signUpPerAccount: few } })
    const from = (remoteAddress: string) => s.identity.signUp({ ...ada, remoteAddress })
    await from('192.0.2.66')
    await from('192.0.2.66')
    await expect(from('192.0.2.66')).rejects.toMatchObject({ code: 'rate_limited' })
    await expect(from('198.51.100.1')).resolves.toBeDefined()
  })

  it('hold for every spelling of the way in that the provider understands', async () => {
    s = await setUp({ limits: { beginPerAddress: few } })
    const { pathname, search } = new URL(new UserAgent(s.url).authorizationUrl(), s.url)
    const { port } = new URL(s.url)
    const statusOf = async (path: string) => {
      const request = get({ host: '127.0.0.1', port, path: path + search })
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      response.resume()
      return response.statusCode
    }
    for (let i = 0; i < 2; i++) expect(await statusOf(pathname)).toBe(303)
    for (const spelling of [`${pathname}/`, '/oauth/AUTH', `http://elsewhere.example${pathname}`])
      expect(await statusOf(spelling)).toBe(404)
    expect(await statusOf(pathname)).toBe(429)
  })

  it('count wrong passwords only', async () => {
    await setUpWith({ signInPerAccount: few })
    for (let i = 0; i < 5; i++) expect((await attempt(email, password)).status).toBe(200)
  })

  it('stop one address from trying many accounts', async () => {
    await setUpWith({ signInPerAddress: few })
    await attempt('one@example.org', 'wrong')
    await attempt('two@example.org', 'wrong')
    const before = hashes()
    expect((await attempt(email, password)).status).toBe(429)
    expect(hashes()).toBe(before)
  })

  it('stop sign-ups from one address, and for one account', async () => {
    s = await setUp({ limits: { signUpPerAddress: few } })
    const from = (remoteAddress: string, name: string) =>
      s.identity.signUp({ ...ada, email: new Personal(`${name}@example.org`), remoteAddress })
    await from('2001:db8:1:2::1', 'one')
    await from('2001:db8:1:2:ffff::2', 'two')
    await expect(from('2001:db8:1:2::3', 'three')).rejects.toMatchObject({ code: 'rate_limited' })
    await expect(from('2001:db8:1:3::3', 'three')).resolves.toBeDefined()
    await s.close()
    s = await setUp({ limits: { signUpPerAccount: few } })
    await s.identity.signUp(ada)
    await s.identity.signUp(ada)
    await expect(s.identity.signUp(ada)).rejects.toMatchObject({ code: 'rate_limited' })
  })

  it('stop one address from beginning sign-ins without end', async () => {
    s = await setUp({ limits: { beginPerAddress: few } })
    const begin = (accept: string) => {
      const agent = new UserAgent(s.url)
      return agent.fetch(agent.authorizationUrl(), { headers: { accept } })
    }
    for (let i = 0; i < 2; i++) expect((await begin('text/html')).status).toBe(303)
    const page = await begin('text/html')
    expect(page.status).toBe(429)
    expect(page.headers.get('retry-after')).toBe('60')
    expect(await page.text()).toContain('Too many sign-ins')
    expect(await (await begin('application/json')).json()).toMatchObject({ code: 'rate_limited' })
  })

  it('refuse at once when the line for hashing is full', async () => {
    await setUpWith({ hashesAtOnce: 1, hashesInLine: 1 })
    const answers = await Promise.all(Array.from({ length: 6 }, () => attempt(email, password)))
    const statuses = answers.map(({ status }) => status)
    expect(statuses).toContain(200)
    expect(statuses.every((status) => status === 200 || status === 503)).toBe(true)
  })
})

describe('a password due for renewal', () => {
  it('is sealed anew when it was right', async () => {
    s = await setUp()
    await s.join(ada)
    const stored = async () =>
      (
        await s.database.pool.query<{ sealed_password: Buffer }>(
          'select sealed_password from identity.account',
        )
      ).rows[0]?.sealed_password as Buffer
    const before = await stored()
    await attempt(email, password)
    expect((await stored()).equals(before)).toBe(true)
    const { createSignIn } = await import('../../src/identity/sign-in.ts')
    const { createPasswords } = await import('../../src/identity/passwords.ts')
    const { createAccounts } = await import('../../src/identity/accounts.ts')
    const none = () => {}
    const limits = {
      spendForAddress: none,
      spendForAccount: none,
      spendForSignedIn: none,
      spendForSession: none,
      spendForLetterTo: none,
      signedIn: none,
      refused: 0,
    }
    const dearer = createSignIn({
      vault: s.vault,
      accounts: createAccounts(s),
      passwords: createPasswords({
        keys: s.keys,
        hashesAtOnce: 1,
        hashesInLine: 1,
        cost: { memoryKib: 128, passes: 1, lanes: 1 },
      }),
      limits,
      presentedInVain: () => {},
    })
    await dearer({ kind: 'customer', email: ada.email, password: ada.password, remoteAddress: undefined })
    expect((await stored()).equals(before)).toBe(false)
    expect((await attempt(email, password)).status).toBe(200)
    const after = await stored()
    // Replaced while the former one was being sealed anew: it does not come back.
    const accountId = (await s.vault.findByEmail('customer', ada.email)) as AccountId
    await createAccounts(s).resealPassword(accountId, { from: before, to: before })
    expect((await stored()).equals(after)).toBe(true)
  })
})

describe('an account that is gone', () => {
  it('can neither use its access token nor refresh it', async () => {
    s = await setUp()
    await s.join(ada)
    const agent = new UserAgent(s.url)
    const tokens = await agent.signIn(email, password)
    await s.database.pool.query('delete from identity.account')
    await expect(s.identity.authenticate(await agent.request(tokens.access_token))).rejects.toThrow('Sign in')
    expect((await agent.refresh(tokens.refresh_token)).status).toBe(400)
  })
})
