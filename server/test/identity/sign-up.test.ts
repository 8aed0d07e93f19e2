import { afterEach, describe, expect, it } from 'vitest'
import { type AccountId, Personal, Secret } from '../../src/core/index.ts'
import type { PasskeyLink } from '../../src/identity/index.ts'
import { makePasskey } from './support/authenticator.ts'
import { ada, type Setup, setUp } from './support/setup.ts'
import { UserAgent } from './support/user-agent.ts'

let s: Setup
afterEach(() => s.close())

const refused = { code: 'code_refused' }
const wrong = new Secret('00000-00000')
const eves = { ...ada, name: new Personal('Eve'), password: new Secret('the password of Eve') }

const confirm = (signUpId: string, code: Secret) =>
  s.identity.confirmSignUp({ signUpId, code, remoteAddress: undefined })
const count = async (table: string) =>
  Number((await s.database.pool.query(`select count(*) from ${table}`)).rows[0].count)
async function signIn(password: Secret, email = ada.email.reveal()) {
  const agent = new UserAgent(s.url)
  const answer = await agent.answer(await agent.begin(), email, password.reveal())
  const { redirectTo, ...body } = (await answer.json()) as Record<string, unknown>
  return { status: answer.status, body, headers: [...answer.headers.keys()].sort() }
}

describe('a sign-up', () => {
  it('is no account before its code has come back: signing in is refused as a wrong password is', async () => {
    s = await setUp()
    await s.join({ ...ada, email: new Personal('grace@example.org') })
    await s.identity.signUp(ada)
    const early = await signIn(ada.password)
    expect(early).toEqual(await signIn(wrong, 'grace@example.org'))
    expect(early).toMatchObject({ status: 401 })
    expect(early.body.title).toMatch(/confirm the address/)
    expect(await count('identity.account')).toBe(1)
    expect(await s.vault.findByEmail('customer', ada.email)).toBeUndefined()
  })

  it('answers, writes and mails alike whether or not the address has an account', async () => {
    s = await setUp()
    await s.join(ada)
    const observe = async (email: string) => {
      const rows = await count('identity.sign_up')
      const letters = await count('mail.outbox')
      const answer = await s.identity.signUp({ ...eves, email: new Personal(email) })
      const { rows: written } = await s.database.pool.query<{ size: number }>(
        'select max(length(sealed)) as size from identity.sign_up',
      )
      return {
        answer: Object.keys(answer),
        rows: (await count('identity.sign_up')) - rows,
        letters: (await count('mail.outbox')) - letters,
        size: written[0]?.size,
        signIn: await signIn(eves.password, email),
        confirm: await confirm(answer.signUpId, wrong).catch(({ code }) => code),
      }
    }
    const taken = await observe('ada@example.org')
    expect(taken).toEqual(await observe('new@example.org'))
    expect(taken).toMatchObject({ rows: 1, letters: 1, confirm: 'code_refused', signIn: { status: 401 } })
  })

  it('with a taken address mails the news and no code, and nothing becomes of it', async () => {
    s = await setUp()
    await s.join(ada)
    await s.identity.signUp(eves)
    const letter = await s.lastLetter()
    expect(letter).toMatchObject({ kind: 'address_in_use', to: 'ada@example.org' })
    expect(letter.code.reveal()).toBe('')
    expect((await signIn(eves.password)).status).toBe(401)
    expect((await signIn(ada.password)).status).toBe(200)
  })

  it('by somebody else neither blocks the address’s owner nor plants a password in their account', async () => {
    s = await setUp()
    const planted = await s.identity.signUp(eves)
    const { code: plantedCode } = await s.lastLetter()
    const own = await s.identity.signUp(ada)
    const { code } = await s.lastLetter()
    // The owner has both letters, and takes the wrong one.
    await expect(confirm(own.signUpId, plantedCode)).rejects.toMatchObject(refused)
    await expect(confirm(planted.signUpId, code)).rejects.toMatchObject(refused)
    await confirm(own.signUpId, code)
    expect((await signIn(eves.password)).status).toBe(401)
    expect((await signIn(ada.password)).status).toBe(200)
    await expect(confirm(planted.signUpId, plantedCode)).rejects.toMatchObject({ code: 'conflict' })
    expect((await signIn(eves.password)).status).toBe(401)
    const accountId = (await s.vault.findByEmail('customer', ada.email)) as AccountId
    expect((await s.vault.read(accountId)).name.reveal()).toBe('Ada')
  })

  it('without a password gives the link for the passkey only for the code', async () => {
    s = await setUp()
    const { signUpId } = await s.identity.signUp({ email: ada.email, name: ada.name })
    await expect(confirm(signUpId, wrong)).rejects.toMatchObject(refused)
    const { code } = await s.lastLetter()
    const { url } = (await confirm(signUpId, code)) as PasskeyLink
    expect(await count('identity.account')).toBe(0)
    expect((await makePasskey(new UserAgent(s.url), url.reveal())).answer.status).toBe(200)
    expect(await count('identity.account')).toBe(1)
    expect((await signIn(ada.password)).status).toBe(401)
  })

  it('is confirmed once, even by two at the same moment', async () => {
    s = await setUp()
    const { signUpId } = await s.identity.signUp(ada)
    const { code } = await s.lastLetter()
    const outcomes = await Promise.allSettled([confirm(signUpId, code), confirm(signUpId, code)])
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    await expect(confirm(signUpId, code)).rejects.toMatchObject(refused)
    expect(await count('identity.account')).toBe(1)
  })

  it('ends after a day, and is swept', async () => {
    s = await setUp()
    const { signUpId } = await s.identity.signUp(ada)
    const { code } = await s.lastLetter()
    s.clock.advance(86_400)
    await expect(confirm(signUpId, code)).rejects.toMatchObject(refused)
    const { createSignUps } = await import('../../src/identity/sign-ups.ts')
    s.clock.advance(3_600)
    const { createResetEpochs } = await import('../../src/identity/reset-epochs.ts')
    await createSignUps({ ...s, epochs: createResetEpochs(s) }).sweep()
    expect(await count('identity.sign_up')).toBe(0)
  })

  it('takes so many wrong codes, then none', async () => {
    s = await setUp()
    const { signUpId } = await s.identity.signUp(ada)
    const { code } = await s.lastLetter()
    for (let i = 0; i < 100; i++) await confirm(signUpId, wrong).catch(() => {})
    await expect(confirm(signUpId, code)).rejects.toMatchObject(refused)
  })

  it('bounds guesses for each network', async () => {
    s = await setUp({ limits: { codePerAddress: { burst: 2, everySeconds: 60 } } })
    const { signUpId } = await s.identity.signUp(ada)
    const guess = () => s.identity.confirmSignUp({ signUpId, code: wrong, remoteAddress: '192.0.2.1' })
    for (let i = 0; i < 2; i++) await expect(guess()).rejects.toMatchObject(refused)
    await expect(guess()).rejects.toMatchObject({ code: 'rate_limited' })
  })

  it('stands in the database without name, address, handle or code, and goes when the address is erased', async () => {
    s = await setUp()
    await s.join(ada)
    const { signUpId } = await s.identity.signUp(eves)
    const { rows } = await s.database.pool.query('select * from identity.sign_up')
    const bytes = Buffer.concat(Object.values(rows[0]).filter(Buffer.isBuffer)).toString('latin1')
    const other = JSON.stringify(rows[0])
    for (const known of ['ada', 'Eve', signUpId, signUpId.replaceAll('-', '')]) {
      expect(bytes).not.toContain(known)
      expect(other).not.toContain(known)
    }
    const accountId = (await s.vault.findByEmail('customer', ada.email)) as AccountId
    await s.database.transaction((tx) => s.identity.eraseAccount(tx, accountId))
    expect(await count('identity.sign_up')).toBe(0)
  })
})

describe('an account from before addresses had to be confirmed', () => {
  it('that never was is opened by nothing but a recovery by mail', async () => {
    s = await setUp()
    // As the former version left them: one that was confirmed, one that was not.
    const { readFile } = await import('node:fs/promises')
    await s.join(ada)
    await s.join({ ...ada, email: new Personal('grace@example.org') })
    const agent = new UserAgent(s.url)
    const tokens = await agent.signIn(ada.email.reveal(), ada.password.reveal())
    const accountId = (await s.vault.findByEmail('customer', ada.email)) as AccountId
    await s.database.pool.query('drop table identity.sign_up')
    await s.database.pool.query('alter table identity.account add column email_verified boolean default true')
    await s.database.pool.query('update identity.account set email_verified = (account_id <> $1)', [
      accountId,
    ])
    const migration = new URL('../../src/identity/migrations/006-sign-ups.sql', import.meta.url)
    const client = await s.database.pool.connect()
    await client.query(`begin; ${await readFile(migration, 'utf8')}; commit`)
    client.release()
    expect((await signIn(ada.password)).status).toBe(401)
    await expect(s.identity.authenticate(await agent.request(tokens.access_token))).rejects.toThrow()
    expect((await signIn(ada.password, 'grace@example.org')).status).toBe(200)
    await s.identity.requestRecovery({ email: ada.email, remoteAddress: undefined })
    const { code } = await s.lastLetter()
    const newPassword = new Secret('another long password')
    await s.identity.completeRecovery({ email: ada.email, code, newPassword, remoteAddress: undefined })
    expect((await signIn(newPassword)).status).toBe(200)
  })
})
