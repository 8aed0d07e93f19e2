import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  type AccountId,
  createBus,
  neighbourhood,
  Personal,
  Secret,
  silentLog,
} from '../../src/core/index.ts'
import { createIdentity } from '../../src/identity/index.ts'
import { ada, type Setup, setUp } from './support/setup.ts'
import { newProofKey, type Tokens, UserAgent } from './support/user-agent.ts'

let s: Setup
beforeEach(async () => {
  s = await setUp()
  await s.join(ada)
})
afterEach(() => s.close())

async function session(remoteAddress = '192.0.2.7') {
  const agent = new UserAgent(s.url, 'hearthlock-cli', remoteAddress)
  const tokens = await agent.signIn(ada.email.reveal(), ada.password.reveal())
  const use = async (from = remoteAddress) =>
    s.identity.authenticate({ ...(await agent.request(tokens.access_token)), remoteAddress: from })
  return { agent, tokens, use, principal: await use() }
}

describe('the list of sessions', () => {
  it('tells client, place and time of each, and where it was last used', async () => {
    const one = await session('192.0.2.7')
    const two = await session('2001:db8:1:2::3')
    s.clock.advance(3_600)
    await one.use('198.51.100.9').catch(() => {})
    const sessions = await s.identity.sessions(one.principal.accountId)
    expect(sessions.map(({ sessionId }) => sessionId)).toEqual([
      two.principal.sessionId,
      one.principal.sessionId,
    ])
    expect(sessions[0]).toMatchObject({ client: 'the hearthlock command', beganIn: '2001:db8:1::/48' })
    expect(sessions[1]).toMatchObject({ beganIn: '192.0.2.0/24' })
    for (const { lastUsedHourMs } of sessions) expect(lastUsedHourMs % 3_600_000).toBe(0)
  })

  it('notes a new place at once, and no use more often than an hour', async () => {
    const { use, principal } = await session('192.0.2.7')
    await use('198.51.100.9')
    const [shown] = await s.identity.sessions(principal.accountId)
    expect(shown).toMatchObject({ beganIn: '192.0.2.0/24', lastIn: '198.51.100.0/24' })
    const sealed = async () =>
      (await s.database.pool.query('select sealed from identity.session')).rows[0].sealed as Buffer
    const before = await sealed()
    await use('198.51.100.10')
    expect((await sealed()).equals(before)).toBe(true)
  })

  it('holds the own sessions only, and none that has ended', async () => {
    const mine = await session()
    await s.identity.endSession((await session()).principal)
    expect(await s.identity.sessions(mine.principal.accountId)).toHaveLength(1)
    expect(await s.identity.sessions(crypto.randomUUID() as never)).toEqual([])
  })
})

describe('ending sessions', () => {
  it('one: its tokens are refused at once, the others go on', async () => {
    const [here, there] = [await session(), await session()]
    const ended: string[] = []
    s.identity.onSessionsChange(({ accountId }) => void ended.push(accountId))
    await s.identity.endOneSession(here.principal, there.principal.sessionId)
    expect(ended).toContain(here.principal.accountId)
    await expect(there.use()).rejects.toMatchObject({ code: 'unauthenticated' })
    expect((await there.agent.refresh(there.tokens.refresh_token)).status).toBe(400)
    expect(await s.identity.isSessionLive(there.principal.sessionId)).toBe(false)
    await expect(here.use()).resolves.toBeTruthy()
    await expect(s.identity.endOneSession(here.principal, there.principal.sessionId)).rejects.toMatchObject({
      code: 'not_found',
    })
  })

  it('all others, and all', async () => {
    const [here, there] = [await session(), await session()]
    await s.identity.endOtherSessions(here.principal)
    await expect(there.use()).rejects.toMatchObject({ code: 'unauthenticated' })
    await expect(here.use()).resolves.toBeTruthy()
    await s.identity.endAllSessions(here.principal)
    await expect(here.use()).rejects.toMatchObject({ code: 'unauthenticated' })
  })

  it('is heard by other processes, as a notice is', async () => {
    const { database, keys, vault, mail, clock } = s
    const bus = createBus({ database, log: silentLog })
    await bus.start()
    const holds = { begin: async () => {}, end: async () => {} }
    const other = createIdentity({
      ...{ database, keys, vault, clock, bus, holds, log: silentLog, sendLetter: mail.enqueue },
      issuer: s.url,
    })
    await other.start()
    try {
      const [ended, noticed] = [vi.fn(), vi.fn()]
      other.onSessionsChange(ended)
      other.onNotice(noticed)
      const one = await session()
      await s.identity.endSession(one.principal)
      await vi.waitFor(() => expect(ended).toHaveBeenCalledWith({ accountId: one.principal.accountId }))
      const two = await session()
      await two.agent.refresh(two.tokens.refresh_token)
      await two.agent.refresh(two.tokens.refresh_token)
      await vi.waitFor(() => expect(noticed).toHaveBeenCalledWith({ accountId: one.principal.accountId }))
    } finally {
      await other.close()
      await bus.close()
    }
  })

  it('of somebody else is not possible', async () => {
    const mine = await session()
    await s.join({ ...ada, email: new Personal('eve@example.org') })
    const eve = new UserAgent(s.url)
    const { access_token } = await eve.signIn('eve@example.org', ada.password.reveal())
    const principal = await s.identity.authenticate(await eve.request(access_token))
    await expect(s.identity.endOneSession(principal, mine.principal.sessionId)).rejects.toMatchObject({
      code: 'not_found',
    })
    await s.identity.endAllSessions(principal)
    await expect(mine.use()).resolves.toBeTruthy()
  })

  it('leaves no row of them behind, whatever ended them', async () => {
    const one = await session()
    await s.identity.endSession(one.principal)
    const two = await session()
    await two.agent.fetch('/oauth/revoke', {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ client_id: 'hearthlock-cli', token: two.tokens.refresh_token }).toString(),
    })
    await session()
    s.clock.advance(181 * 86_400)
    const { rows } = await s.database.pool.query('select 1 from identity.session')
    expect(rows).toHaveLength(1)
  })
})

describe('a refresh token that is used again', () => {
  const notices = async () =>
    (await s.identity.notices((await accounts())[0] as never)).map(({ kind }) => kind)
  const accounts = async () =>
    (await s.database.pool.query('select account_id from identity.account')).rows.map((row) => row.account_id)

  it('after its rotation: ends the session for both, and the person is told by notice and letter', async () => {
    const { agent, tokens, use } = await session()
    const heard: string[] = []
    s.identity.onNotice(({ accountId }) => void heard.push(accountId))
    const next = (await (await agent.refresh(tokens.refresh_token)).json()) as Tokens
    expect((await agent.refresh(tokens.refresh_token)).status).toBe(400)
    expect((await agent.refresh(next.refresh_token)).status).toBe(400)
    await expect(use()).rejects.toMatchObject({ code: 'unauthenticated' })
    await expect.poll(notices).toEqual(['session_ended_by_reuse'])
    expect(await s.lastLetter()).toMatchObject({ kind: 'session_ended_by_reuse', to: 'ada@example.org' })
    expect(heard).toHaveLength(1)
  })

  it('at the same moment: at most one gets tokens, which are dead, and the person is told once', async () => {
    const { agent, tokens } = await session()
    const answers = await Promise.all(Array.from({ length: 4 }, () => agent.refresh(tokens.refresh_token)))
    const given = answers.filter(({ status }) => status === 200)
    expect(given.length).toBeLessThanOrEqual(1)
    for (const answer of given) {
      const { refresh_token } = (await answer.json()) as Tokens
      expect((await agent.refresh(refresh_token)).status).toBe(400)
    }
    await expect.poll(notices).toContain('session_ended_by_reuse')
  })

  it('with another key: is refused, and a thief without the key does not end the session', async () => {
    const { agent, tokens, use } = await session()
    const next = (await (await agent.refresh(tokens.refresh_token)).json()) as Tokens
    const foreign = await newProofKey()
    for (const token of [tokens.refresh_token, next.refresh_token]) {
      const proof = await agent.proof(foreign)
      expect((await agent.refresh(token, proof)).status).toBe(400)
    }
    await expect(use()).resolves.toBeTruthy()
    expect((await agent.refresh(next.refresh_token)).status).toBe(200)
    expect(await notices()).toEqual([])
  })

  it('after its end: is refused, and what came of it in time goes on', async () => {
    const { agent, tokens } = await session()
    s.clock.advance(29 * 86_400)
    const next = (await (await agent.refresh(tokens.refresh_token)).json()) as Tokens
    s.clock.advance(2 * 86_400)
    expect((await agent.refresh(tokens.refresh_token)).status).toBe(400)
    expect((await agent.refresh(next.refresh_token)).status).toBe(200)
  })

  it('is not told of when the client itself ended the session', async () => {
    const { agent, tokens } = await session()
    await agent.fetch('/oauth/revoke', {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ client_id: 'hearthlock-cli', token: tokens.refresh_token }).toString(),
    })
    expect((await agent.refresh(tokens.refresh_token)).status).toBe(400)
    expect(await notices()).toEqual([])
  })
})

describe('too many sessions', () => {
  /** As many as there can be, all begun now; each a grant of its own. */
  async function copies(principal: { accountId: string }, count: number) {
    const { createAccounts } = await import('../../src/identity/accounts.ts')
    const { createArtifacts, grantHandle } = await import('../../src/identity/artifacts.ts')
    const { createRecoveries } = await import('../../src/identity/recoveries.ts')
    const { createResetEpochs } = await import('../../src/identity/reset-epochs.ts')
    const { createSessions } = await import('../../src/identity/sessions.ts')
    const ended: string[] = []
    const epochs = createResetEpochs(s)
    const artifacts = createArtifacts({
      ...s,
      epochs,
      onGrantEnd: () => {},
      onReuse: async () => {},
      presentedInVain: () => {},
    })
    const sessions = createSessions({
      ...s,
      epochs,
      artifacts,
      accounts: createAccounts(s),
      recoveries: createRecoveries(s),
      onEnd: (accountId) => void ended.push(accountId),
    })
    const accountId = principal.accountId as AccountId
    const made: string[] = []
    for (let i = 0; i < count; i++) {
      const grantId = `grant-${made.length}-${Math.random()}`
      await artifacts
        .adapter('Grant')
        .upsert(grantId, { accountId, clientId: 'hearthlock-cli', kind: 'Grant', jti: grantId }, 86_400)
      const sessionId = grantHandle(grantId)
      const begun = { beganAtMs: s.clock.nowMs(), passkeySinceMs: undefined, remoteAddress: '192.0.2.7' }
      await sessions.begin({ grantId, sessionId, accountId, clientId: 'hearthlock-cli', ...begun })
      made.push(sessionId)
    }
    return { made, ended }
  }

  it('end the one that was unused for longest, and say so to whoever watches', async () => {
    const { principal, agent, tokens } = await session()
    s.clock.advance(3_600)
    expect((await copies(principal, 99)).ended).toEqual([])
    expect(await s.identity.sessions(principal.accountId)).toHaveLength(100)
    const { made, ended } = await copies(principal, 1)
    expect(ended).toEqual([principal.accountId])
    const left = (await s.identity.sessions(principal.accountId)).map(({ sessionId }) => sessionId)
    expect(left).toHaveLength(100)
    expect(left).toContain(made[0])
    expect(left).not.toContain(principal.sessionId)
    expect((await agent.refresh(tokens.refresh_token)).status).toBe(400)
  })

  it('after a recovery never end those from before, which can undo it', async () => {
    const { principal } = await session()
    s.clock.advance(7_200)
    await s.identity.requestRecovery({ email: ada.email, remoteAddress: undefined })
    const { code } = await s.lastLetter()
    const newPassword = new Secret('another long password')
    await s.identity.completeRecovery({ email: ada.email, code, newPassword, remoteAddress: undefined })
    await copies(principal, 120)
    expect(await s.identity.sessions(principal.accountId)).toHaveLength(100)
    expect(await s.identity.isSessionLive(principal.sessionId)).toBe(true)
  })
})

describe('the neighbourhood of an address', () => {
  it.each([
    ['192.0.2.7', '192.0.2.0/24'],
    ['::ffff:192.0.2.7', '192.0.2.0/24'],
    ['2001:DB8:1:2::6', '2001:db8:1::/48'],
    ['::1', '0:0:0::/48'],
  ])('%s is %s', (address, expected) => {
    expect(neighbourhood(address)).toBe(expected)
  })
})
