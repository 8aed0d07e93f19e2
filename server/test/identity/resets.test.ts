import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type AccountId, createBus, Personal, Secret, silentLog } from '../../src/core/index.ts'
import { createIdentity, type SignInReach } from '../../src/identity/index.ts'
import { answerWithPasskey, makePasskey } from './support/authenticator.ts'
import { ada, type Setup, setUp } from './support/setup.ts'
import { newProofKey, type Tokens, UserAgent } from './support/user-agent.ts'

let s: Setup
beforeEach(async () => {
  s = await setUp()
  await s.join(ada)
})
afterEach(() => s.close())

async function session(email = ada.email) {
  const agent = new UserAgent(s.url)
  let tokens = await agent.signIn(email.reveal(), ada.password.reveal())
  const use = async () => s.identity.authenticate(await agent.request(tokens.access_token))
  const renew = async () => {
    const answer = await agent.refresh(tokens.refresh_token)
    if (answer.status === 200) tokens = (await answer.json()) as Tokens
    return answer.status
  }
  return { agent, tokens, use, renew, principal: await use() }
}

async function reset(
  o: { reach?: SignInReach; quietly?: boolean; accountIds?: AccountId[] } = {},
): Promise<void> {
  const { reach = 'customers', quietly = false, accountIds = [] } = o
  const resetId = randomUUID()
  await s.database.transaction((tx) => s.identity.resets.stage(tx, resetId, accountIds))
  await s.database.transaction((tx) => s.identity.resets.void(tx, { resetId, reach, quietly }))
}

/** The first operator, signed in. */
async function operator() {
  const code = (await s.identity.operatorEnrolment()) as Secret
  const person = { code, email: new Personal('olga@maker.example'), name: new Personal('Olga') }
  const agent = new UserAgent(s.url, 'hearthlock-operator-cli')
  const { url } = await s.identity.enrolOperator(person)
  const { passkey } = await makePasskey(agent, url.reveal())
  agent.key = await newProofKey()
  const { redirectTo } = (await (await answerWithPasskey(agent, passkey)).json()) as { redirectTo: string }
  const exchanged = await agent.exchange((await agent.resume(redirectTo)).get('code') as string)
  const tokens = (await exchanged.json()) as Tokens
  return { agent, tokens, use: async () => s.identity.authenticate(await agent.request(tokens.access_token)) }
}

describe('a reset after which people sign in anew', () => {
  it('makes access and refresh tokens void at the commit, and the sign-in itself', async () => {
    const { use, renew, principal } = await session()
    await reset()
    await expect(use()).rejects.toMatchObject({ code: 'unauthenticated' })
    expect(await renew()).toBe(400)
    expect(await s.identity.isSessionLive(principal.sessionId)).toBe(false)
    expect(await s.identity.sessions(principal.accountId)).toEqual([])
    expect(await s.identity.resets.isCurrent(principal)).toBe(false)
  })

  it('lets the same person sign in again, with all that follows', async () => {
    await session()
    await reset()
    const again = await session()
    await expect(again.use()).resolves.toMatchObject({ accountId: again.principal.accountId })
    expect(await again.renew()).toBe(200)
    expect(await s.identity.resets.isCurrent(await again.use())).toBe(true)
  })

  it('makes a sign-in that is under way void, its browser’s cookies with it', async () => {
    const agent = new UserAgent(s.url)
    const interaction = await agent.begin()
    const cookies = new Map(agent.cookies)
    await reset()
    expect((await agent.answer(interaction, ada.email.reveal(), ada.password.reveal())).status).toBe(400)
    expect(new Map(agent.cookies)).toEqual(cookies)
  })

  it('makes an authorization code void that was not exchanged yet', async () => {
    const agent = new UserAgent(s.url)
    agent.key = await newProofKey()
    const code = await agent.code(ada.email.reveal(), ada.password.reveal())
    await reset({ quietly: true })
    const answer = await agent.exchange(code)
    expect(await answer.json()).toMatchObject({ error: 'invalid_grant' })
  })

  it('makes the browser’s session void', async () => {
    const agent = new UserAgent(s.url)
    agent.key = await newProofKey()
    await agent.code(ada.email.reveal(), ada.password.reveal())
    const sessions = async () =>
      (await s.database.pool.query("select 1 from identity.artifact where model = 'Session' and epoch = 0"))
        .rows
    expect(await sessions()).toHaveLength(1)
    await reset({ quietly: true })
    // It is not found any more: the next authorization request gives the browser another one.
    const before = agent.cookies.get('hearthlock_session')
    await agent.code(ada.email.reveal(), ada.password.reveal())
    expect(agent.cookies.get('hearthlock_session')).not.toBe(before)
  })

  it('makes mailed codes void', async () => {
    const { principal } = await session()
    await s.identity.requestRecovery({ email: ada.email, remoteAddress: undefined })
    const { code } = await s.lastLetter()
    await reset({ quietly: true })
    const recovered = s.identity.completeRecovery({
      email: ada.email,
      code,
      newPassword: new Secret('another horse battery'),
      remoteAddress: undefined,
    })
    await expect(recovered).rejects.toMatchObject({ code: 'code_refused' })
    await s.identity.requestEmailChange(principal, new Personal('new@example.org'))
    const changing = (await s.lastLetter()).code
    await reset({ quietly: true })
    await expect(s.identity.verifyEmail(principal.accountId, changing)).rejects.toMatchObject({
      code: 'code_refused',
    })
  })

  it('makes codes of sign-ups void that were not confirmed yet', async () => {
    const { signUpId } = await s.identity.signUp({ ...ada, email: new Personal('new@example.org') })
    const { code } = await s.lastLetter()
    await reset({ quietly: true })
    const confirmed = s.identity.confirmSignUp({ signUpId, code, remoteAddress: undefined })
    await expect(confirmed).rejects.toMatchObject({ code: 'code_refused' })
  })

  it('makes links to add a passkey void, those of people who sign up included', async () => {
    const { principal } = await session()
    const own = await s.identity.passkeys.add(principal)
    const newcomer = await s.join({ email: new Personal('new@example.org'), name: new Personal('New') })
    if (!newcomer) throw new Error('no link')
    await reset({ quietly: true })
    for (const { url } of [own, newcomer]) {
      const { answer } = await makePasskey(new UserAgent(s.url), url.reveal())
      expect(answer.status).toBe(404)
    }
  })

  it('of customers leaves operators alone; of everybody ends them and the codes by which they come', async () => {
    const olga = await operator()
    const { accountId } = await olga.use()
    const invite = () => s.identity.inviteOperator({ invitedBy: accountId, roles: ['support'] })
    const enrol = (code: Secret) =>
      s.identity.enrolOperator({ code, email: new Personal('joan@maker.example'), name: new Personal('J') })
    const first = await invite()
    await reset({ reach: 'customers' })
    await expect(olga.use()).resolves.toMatchObject({ kind: 'operator' })
    await expect(enrol(first)).resolves.toBeTruthy()
    const second = await invite()
    await reset({ reach: 'everybody' })
    await expect(olga.use()).rejects.toMatchObject({ code: 'unauthenticated' })
    await expect(enrol(second)).rejects.toMatchObject({ code: 'sign_in_refused' })
  })

  it('of some reaches them and nobody else', async () => {
    await s.join({ ...ada, email: new Personal('joan@example.org') })
    const [one, other] = [await session(), await session(new Personal('joan@example.org'))]
    await reset({ reach: 'listed', accountIds: [one.principal.accountId] })
    await expect(one.use()).rejects.toMatchObject({ code: 'unauthenticated' })
    await expect(other.use()).resolves.toBeTruthy()
    expect(await other.renew()).toBe(200)
  })

  it('has no effect by its list alone, before it is made', async () => {
    const one = await session()
    await s.database.transaction((tx) => s.identity.resets.stage(tx, randomUUID(), [one.principal.accountId]))
    await expect(one.use()).resolves.toBeTruthy()
  })

  it('has no effect when its transaction does not commit', async () => {
    const one = await session()
    const broken = s.database.transaction(async (tx) => {
      await s.identity.resets.void(tx, { resetId: randomUUID(), reach: 'everybody', quietly: false })
      throw new Error('power cut')
    })
    await expect(broken).rejects.toThrow('power cut')
    await expect(one.use()).resolves.toBeTruthy()
  })
})

describe('a quiet reset', () => {
  it('makes access tokens void, and replaces them for whoever proves the key', async () => {
    const one = await session()
    await reset({ quietly: true })
    await expect(one.use()).rejects.toMatchObject({ code: 'unauthenticated' })
    expect(await s.identity.isSessionLive(one.principal.sessionId)).toBe(true)
    expect(await one.renew()).toBe(200)
    await expect(one.use()).resolves.toMatchObject({ sessionId: one.principal.sessionId })
    expect(await s.identity.sessions(one.principal.accountId)).toHaveLength(1)
  })

  it('gives nothing to whoever has the tokens of before without their key', async () => {
    const one = await session()
    await reset({ quietly: true })
    const thief = new UserAgent(s.url)
    thief.key = await newProofKey()
    const answer = await thief.refresh(one.tokens.refresh_token)
    expect(answer.status).toBe(400)
    expect((await thief.refresh(one.tokens.refresh_token, null)).status).toBe(400)
    // The owner is not ended by it.
    expect(await one.renew()).toBe(200)
  })

  it('exchanges a refresh token of before once', async () => {
    const one = await session()
    await reset({ quietly: true })
    expect(await one.renew()).toBe(200)
    expect((await one.agent.refresh(one.tokens.refresh_token)).status).toBe(400)
  })

  it('does not bring back what a reset before it has ended', async () => {
    const one = await session()
    await reset({ quietly: false })
    await reset({ quietly: true })
    expect(await one.renew()).toBe(400)
  })

  it('asks for the proof once for each reset', async () => {
    const one = await session()
    for (let round = 0; round < 3; round++) {
      await reset({ quietly: true })
      await expect(one.use()).rejects.toMatchObject({ code: 'unauthenticated' })
      expect(await one.renew()).toBe(200)
      await expect(one.use()).resolves.toBeTruthy()
    }
  })
})

describe('resets', () => {
  it('at the same moment both take effect, one after the other', async () => {
    const one = await session()
    await Promise.all(Array.from({ length: 8 }, (_, n) => reset({ quietly: n % 2 === 0 })))
    await expect(one.use()).rejects.toMatchObject({ code: 'unauthenticated' })
    expect(await one.renew()).toBe(400)
    const { rows } = await s.database.pool.query('select epoch from identity.reset order by epoch')
    expect(rows.map((row) => row.epoch)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  it('are heard by other processes in their order, with whom they reach', async () => {
    const { database, keys, vault, mail, clock } = s
    const one = await session()
    const bus = createBus({ database, log: silentLog })
    await bus.start()
    const other = createIdentity({
      ...{ database, keys, vault, clock, bus, log: silentLog, sendLetter: mail.enqueue },
      holds: { begin: async () => {}, end: async () => {} },
      issuer: s.url,
    })
    await other.start()
    try {
      const heard: { epoch: number; reached: number }[] = []
      const asked = [one.principal.accountId, randomUUID() as AccountId]
      other.resets.onReset(async (each) => {
        heard.push({ epoch: each.epoch, reached: (await each.reached(asked)).size })
      })
      await reset({ reach: 'listed', accountIds: [one.principal.accountId] })
      await reset({ reach: 'everybody' })
      await vi.waitFor(() =>
        expect(heard).toEqual([
          { epoch: 1, reached: 1 },
          { epoch: 2, reached: 2 },
        ]),
      )
    } finally {
      await other.close()
      await bus.close()
    }
  })

  it('are counted before as they then happen, and leave no row of what they ended', async () => {
    const olga = await operator()
    await session()
    await session()
    await s.identity.requestRecovery({ email: ada.email, remoteAddress: undefined })
    const counted = await s.identity.resets.count({ reach: 'customers' })
    expect(counted).toMatchObject({ accounts: 1, signIns: 2 })
    await reset()
    const swept = await s.identity.resets.sweep()
    expect(swept.removed).toBe(counted.signIns)
    expect((await s.identity.resets.sweep(swept.next)).removed).toBe(0)
    const left = await s.database.pool.query(
      "select model from identity.artifact where model in ('Grant', 'RefreshToken')",
    )
    expect(left.rows.map((row) => row.model).sort()).toEqual(['Grant', 'RefreshToken'])
    await expect(olga.use()).resolves.toBeTruthy()
    expect(await s.identity.resets.count({ reach: 'customers' })).toMatchObject({ signIns: 0 })
  })
})
