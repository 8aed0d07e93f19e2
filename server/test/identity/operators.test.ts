import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SoftwarePasskey } from '../../src/client/software-passkey.ts'
import { type AccountId, newId, Personal, Secret } from '../../src/core/index.ts'
import type { Enrolment } from '../../src/identity/enrolment.ts'
import type { OperatorRole } from '../../src/identity/index.ts'
import { createOneUse } from '../../src/identity/one-use.ts'
import { createResetEpochs } from '../../src/identity/reset-epochs.ts'
import { answerWithPasskey, makePasskey } from './support/authenticator.ts'
import { ada, type Setup, setUp } from './support/setup.ts'
import { newProofKey, type Tokens, UserAgent } from './support/user-agent.ts'

let s: Setup
beforeEach(async () => {
  s = await setUp()
})
afterEach(() => s.close())

const grace = { email: new Personal('grace@example.org'), name: new Personal('Grace') }
const joan = { email: new Personal('joan@example.org'), name: new Personal('Joan') }
/** Whoever does it: the room asks nobody. */
const BY = newId<AccountId>()

async function enrol(code: Secret, who: typeof grace): Promise<{ status: number; passkey: SoftwarePasskey }> {
  const { url } = await s.identity.enrolOperator({ ...who, code })
  const { answer, passkey } = await makePasskey(new UserAgent(s.url), url.reveal())
  return { status: answer.status, passkey }
}
async function first(who = grace): Promise<{ passkey: SoftwarePasskey; accountId: AccountId }> {
  const { passkey } = await enrol((await s.identity.operatorEnrolment()) as Secret, who)
  return { passkey, accountId: (await s.vault.findByEmail('operator', who.email)) as AccountId }
}
async function invited(by: AccountId, who: typeof grace, roles: OperatorRole[]) {
  const { passkey } = await enrol(await s.identity.inviteOperator({ invitedBy: by, roles }), who)
  return { passkey, accountId: (await s.vault.findByEmail('operator', who.email)) as AccountId }
}
async function signedIn(passkey: SoftwarePasskey) {
  const agent = new UserAgent(s.url, 'hearthlock-operator-cli')
  agent.key = await newProofKey()
  const answer = await answerWithPasskey(agent, passkey)
  expect(answer.status).toBe(200)
  const { redirectTo } = (await answer.json()) as { redirectTo: string }
  const code = (await agent.resume(redirectTo)).get('code') as string
  const { access_token } = (await (await agent.exchange(code)).json()) as Tokens
  return async () => await s.identity.authenticate(await agent.request(access_token))
}

describe('the first operator', () => {
  it("enrols with the code and a passkey, gets every role, and signs in through the operators' client only", async () => {
    const code = (await s.identity.operatorEnrolment()) as Secret
    expect(code.reveal()).toMatch(/^([0-9A-HJKMNP-TV-Z]{5}-){4}[0-9A-HJKMNP-TV-Z]{5}$/)
    const { passkey } = await enrol(new Secret(` ${code.reveal().toLowerCase()} `), grace)
    expect(await (await signedIn(passkey))()).toMatchObject({
      kind: 'operator',
      roles: ['engineer', 'analyst', 'support', 'security'],
      methods: ['swk'],
    })
    expect((await answerWithPasskey(new UserAgent(s.url), passkey)).status).toBe(401)
  })

  it('is nobody before the passkey is made, and the code is still good', async () => {
    const code = (await s.identity.operatorEnrolment()) as Secret
    await s.identity.enrolOperator({ ...grace, code })
    expect(await s.vault.findByEmail('operator', grace.email)).toBeUndefined()
    expect((await enrol(code, grace)).status).toBe(200)
  })

  it('is the only one: no second code, no second use, also not at the same moment', async () => {
    const code = (await s.identity.operatorEnrolment()) as Secret
    const links = await Promise.all([grace, joan].map((who) => s.identity.enrolOperator({ ...who, code })))
    const made = await Promise.all(links.map(({ url }) => makePasskey(new UserAgent(s.url), url.reveal())))
    expect(made.map(({ answer }) => answer.status).sort()).toEqual([200, 401])
    expect(await s.identity.operators.list()).toHaveLength(1)
    expect(await s.identity.operatorEnrolment()).toBeUndefined()
    const late = { ...grace, email: new Personal('late@example.org'), code }
    await expect(s.identity.enrolOperator(late)).rejects.toMatchObject({ code: 'sign_in_refused' })
  })

  it('has one code at a time, also when several processes start at the same moment', async () => {
    const codes = await Promise.all(Array.from({ length: 6 }, () => s.identity.operatorEnrolment()))
    const known = await Promise.allSettled(
      codes.map((code) => s.identity.enrolOperator({ ...grace, code: code as Secret })),
    )
    expect(known.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  it('is not joined by one whose code was given while the first was just coming in', async () => {
    await first()
    const { database, keys, clock } = s
    const codes = createOneUse<Enrolment>({
      database,
      keys,
      clock,
      epochs: createResetEpochs({ database }),
      kind: 'first-operator',
    })
    await codes.put('00000', { roles: ['security'] }, 3600)
    expect((await enrol(new Secret('00000'), joan)).status).toBe(401)
    expect(await s.identity.operators.list()).toHaveLength(1)
  })

  it('needs the right code, within an hour, and the last one given', async () => {
    const former = (await s.identity.operatorEnrolment()) as Secret
    const code = (await s.identity.operatorEnrolment()) as Secret
    for (const wrong of [former, new Secret('00000-00000-00000-00000-00000')]) {
      await expect(s.identity.enrolOperator({ ...grace, code: wrong })).rejects.toMatchObject({
        code: 'sign_in_refused',
      })
    }
    s.clock.advance(60 * 60)
    await expect(s.identity.enrolOperator({ ...grace, code })).rejects.toThrow('enrolment code')
  })

  it('cannot be guessed at without end', async () => {
    await s.close()
    s = await setUp({ limits: { enrolmentPerAddress: { burst: 2, everySeconds: 60 } } })
    const guess = { ...grace, code: new Secret('00000'), remoteAddress: '192.0.2.1' }
    for (let i = 0; i < 2; i++)
      await expect(s.identity.enrolOperator(guess)).rejects.toThrow('enrolment code')
    await expect(s.identity.enrolOperator(guess)).rejects.toMatchObject({ code: 'rate_limited' })
  })
})

describe('a password', () => {
  it('opens no operator’s session, not even one that was there before', async () => {
    await s.join(ada)
    const accountId = await s.vault.findByEmail('customer', ada.email)
    const agent = new UserAgent(s.url)
    const { access_token } = await agent.signIn(ada.email.reveal(), ada.password.reveal())
    const operator = new UserAgent(s.url, 'hearthlock-operator-cli')
    const page = await operator.fetch(await operator.begin())
    expect(await page.text()).not.toContain('type="password"')
    // An operator of a version that had passwords, with the session that it began by one.
    await s.database.pool.query("update identity.account set kind = 'operator' where account_id = $1", [
      accountId,
    ])
    await s.database.pool.query("update vault.person set kind = 'operator' where account_id = $1", [
      accountId,
    ])
    await expect(s.identity.authenticate(await agent.request(access_token))).rejects.toThrow('Sign in')
    const answer = await operator.answer(await operator.begin(), ada.email.reveal(), ada.password.reveal())
    expect(answer.status).toBe(401)
    expect(await answer.json()).toMatchObject({ title: 'Operators sign in with a passkey.' })
    expect(s.identity.stats().identity_passwords_hashed).toBe(2)
  })
})

describe('further operators', () => {
  it('come in by invitation, with the roles that it names', async () => {
    const officer = await first()
    const { passkey } = await invited(officer.accountId, joan, ['support', 'engineer'])
    expect(await (await signedIn(passkey))()).toMatchObject({ roles: ['engineer', 'support'] })
  })

  it('come in once, within a day', async () => {
    const officer = await first()
    const code = await s.identity.inviteOperator({ invitedBy: officer.accountId, roles: ['analyst'] })
    expect((await enrol(code, joan)).status).toBe(200)
    await expect(s.identity.enrolOperator({ ...ada, code })).rejects.toThrow('enrolment code')
    const other = await s.identity.inviteOperator({ invitedBy: officer.accountId, roles: ['analyst'] })
    s.clock.advance(24 * 60 * 60)
    await expect(s.identity.enrolOperator({ ...ada, code: other })).rejects.toThrow('enrolment code')
  })

  it('do not come in on the word of somebody who may not invite any more', async () => {
    const officer = await first()
    const former = await invited(officer.accountId, joan, ['security'])
    const code = await s.identity.inviteOperator({ invitedBy: former.accountId, roles: ['security'] })
    const { url } = await s.identity.enrolOperator({ ...ada, code })
    await s.identity.operators.setRoles(former.accountId, ['analyst'], BY)
    expect((await makePasskey(new UserAgent(s.url), url.reveal())).answer.status).toBe(401)
    await s.identity.operators.remove(former.accountId, BY)
    const again = await makePasskey(new UserAgent(s.url), url.reveal())
    expect(again.answer.status).toBe(401)
  })

  it('do not take the place of one who has the address', async () => {
    const officer = await first()
    const code = await s.identity.inviteOperator({ invitedBy: officer.accountId, roles: ['analyst'] })
    await expect(s.identity.enrolOperator({ ...grace, code })).rejects.toMatchObject({ code: 'conflict' })
  })
})

describe('an operator', () => {
  it('has other roles from the next request on', async () => {
    const officer = await first()
    const other = await invited(officer.accountId, joan, ['support'])
    const request = await signedIn(other.passkey)
    await s.identity.operators.setRoles(other.accountId, ['analyst'], BY)
    expect((await request()).roles).toEqual(['analyst'])
  })

  it('who was removed is out at once, and stands in no table', async () => {
    const officer = await first()
    const other = await invited(officer.accountId, joan, ['support'])
    const request = await signedIn(other.passkey)
    await s.identity.operators.remove(other.accountId, BY)
    await expect(request()).rejects.toThrow('Sign in')
    const agent = new UserAgent(s.url, 'hearthlock-operator-cli')
    expect((await answerWithPasskey(agent, other.passkey)).status).toBe(401)
    expect(await s.vault.findByEmail('operator', joan.email)).toBeUndefined()
  })

  it('who is the last security officer stays one, also when two go at once', async () => {
    const officer = await first()
    const { operators } = s.identity
    await expect(operators.remove(officer.accountId, BY)).rejects.toMatchObject({ code: 'conflict' })
    await expect(operators.setRoles(officer.accountId, ['engineer'], BY)).rejects.toMatchObject({
      code: 'conflict',
    })
    const second = await invited(officer.accountId, joan, ['security'])
    const outcomes = await Promise.allSettled([
      operators.remove(officer.accountId, BY),
      operators.setRoles(second.accountId, ['analyst'], BY),
    ])
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  })

  it('is changed by its id only: a customer has no roles', async () => {
    await first()
    await s.join(ada)
    const accountId = (await s.vault.findByEmail('customer', ada.email)) as AccountId
    const { operators } = s.identity
    await expect(operators.setRoles(accountId, ['security'], BY)).rejects.toMatchObject({ code: 'not_found' })
    await expect(operators.remove(accountId, BY)).rejects.toMatchObject({ code: 'not_found' })
  })
})
