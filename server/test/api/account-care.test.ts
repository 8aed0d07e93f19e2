import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Client, createClient, memorySessionStore } from '../../src/client/index.ts'
import { newId, Personal, Secret } from '../../src/core/index.ts'
import { join, type Rooms, startRooms } from '../support/start-rooms.ts'

const PASSWORD = new Secret('correct horse battery staple')
const NEW_PASSWORD = 'another long password'

interface Me {
  notices: { noticeId: string; kind: string }[]
}

describe('care of an account over HTTP', () => {
  let rooms: Rooms
  beforeAll(async () => {
    rooms = await startRooms()
  })
  afterAll(() => rooms.close())

  let people = 0
  async function person() {
    people += 1
    const email = `person-${people}@example.org`
    const signedIn = async (password = PASSWORD) => {
      const client = createClient({ baseUrl: rooms.url, store: memorySessionStore() })
      await client.signIn({ clientId: 'hearthlock-cli', email: new Personal(email), password })
      return client
    }
    const stranger = createClient({ baseUrl: rooms.url, store: memorySessionStore() })
    await join({ client: stranger, mail: rooms.mail, email: new Personal(email), password: PASSWORD })
    return { email, signedIn, stranger }
  }
  const me = (client: Client) => client.request<Me>('GET', '/v1/me')
  const post = (client: Client, path: string, body?: object, signedIn = true) =>
    client.request('POST', path, { body, signedIn })

  async function mailedCode(kind: string, to: string): Promise<string> {
    for (const { letterId } of (await rooms.mail.waiting()).filter((letter) => letter.kind === kind)) {
      const letter = await rooms.mail.show(letterId, newId<never>())
      if (letter.to.reveal() === to) return /[0-9A-Z]{5}-[0-9A-Z]{5}/.exec(letter.text.reveal())?.[0] ?? ''
    }
    throw new Error('no such letter')
  }

  async function recover({ email, stranger }: { email: string; stranger: Client }): Promise<void> {
    await post(stranger, '/v1/recovery', { email }, false)
    const code = await mailedCode('recovery_code', email)
    await post(stranger, '/v1/recovery/complete', { email, code, newPassword: NEW_PASSWORD }, false)
  }

  it('asking for a recovery is answered alike with and without an account', async () => {
    const ada = await person()
    const answers = await Promise.all(
      [ada.email, 'nobody@example.org'].map(async (email) => {
        const response = await fetch(`${rooms.url}/v1/recovery`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ email }),
        })
        return [response.status, await response.text()]
      }),
    )
    expect(answers).toEqual([
      [202, '{}'],
      [202, '{}'],
    ])
  })

  it('a recovery is told on open live streams, and holds the account back until an older session confirms', async () => {
    const ada = await person()
    const before = await ada.signedIn()
    const { householdId } = await before.request<{ householdId: string }>('POST', '/v1/households', {
      body: { name: 'Cottage' },
    })
    const [onReady, onSecurity, stop] = [vi.fn(), vi.fn(), new AbortController()]
    const watching = before.live(householdId, () => {}, stop.signal, { onReady, onSecurity })
    await vi.waitFor(() => expect(onReady).toHaveBeenCalled())
    await recover(ada)
    await vi.waitFor(() => expect(onSecurity).toHaveBeenCalledOnce())
    expect(onSecurity.mock.calls[0]?.[0]).toMatchObject({ kind: 'recovered' })
    stop.abort()
    await watching

    const since = await ada.signedIn(new Secret(NEW_PASSWORD))
    const claim = (client: Client) =>
      post(client, `/v1/households/${householdId}/claims`, { code: 'AAAA-AAAA-AAAA-AAAA' }).catch(
        (error) => error.code,
      )
    const answers = [await claim(since)]
    await expect(post(since, '/v1/me/recovery/confirm')).rejects.toMatchObject({ code: 'not_found' })
    await expect(since.request('DELETE', '/v1/me/sessions?others=true')).rejects.toMatchObject({
      code: 'held_back',
    })
    const { notices } = await me(before)
    expect(notices).toMatchObject([{ kind: 'recovered' }])
    await post(before, '/v1/me/recovery/confirm')
    expect((await me(before)).notices).toEqual([])
    answers.push(await claim(since))
    expect(answers).toEqual(['not_found', 'claim_refused'])
  })

  it('a notice is put away by its owner only', async () => {
    const ada = await person()
    const client = await ada.signedIn()
    await recover(ada)
    const { notices } = await me(client)
    const eve = await (await person()).signedIn()
    const path = `/v1/me/notices/${notices[0]?.noticeId}`
    await eve.request('DELETE', path)
    expect((await me(client)).notices).toHaveLength(1)
    await client.request('DELETE', path)
    expect((await me(client)).notices).toEqual([])
    await client.request('DELETE', `/v1/me/notices/${randomUUID()}`)
  })

  it('ending another session ends its live streams at once, and its tokens', async () => {
    const ada = await person()
    const [here, there] = [await ada.signedIn(), await ada.signedIn()]
    const { householdId } = await there.request<{ householdId: string }>('POST', '/v1/households', {
      body: { name: 'Flat' },
    })
    const onReady = vi.fn()
    const watching = there.live(householdId, () => {}, new AbortController().signal, { onReady })
    await vi.waitFor(() => expect(onReady).toHaveBeenCalled())
    const { sessions } = await here.request<{ sessions: { sessionId: string; current: boolean }[] }>(
      'GET',
      '/v1/me/sessions',
    )
    expect(sessions.map(({ current }) => current)).toEqual([false, true])
    const [ended] = await Promise.all([
      watching.catch((error) => error),
      here.request('DELETE', `/v1/me/sessions/${sessions[0]?.sessionId}`),
    ])
    expect(ended).toMatchObject({ code: 'unauthenticated' })
    await expect(there.request('GET', '/v1/me')).rejects.toMatchObject({ code: 'unauthenticated' })
    await here.request('DELETE', '/v1/me/sessions')
    await expect(here.request('GET', '/v1/me')).rejects.toMatchObject({ code: 'unauthenticated' })
  })

  it('a session that ends while its live stream or its export is being opened gets none', async () => {
    const raced = await startRooms({
      replace: ({ identity }) => ({ identity: { ...identity, isSessionLive: async () => false } }),
    })
    try {
      const client = createClient({ baseUrl: raced.url, store: memorySessionStore() })
      const email = new Personal('ada@example.org')
      await join({ client, mail: raced.mail, email, password: PASSWORD })
      await client.signIn({ clientId: 'hearthlock-cli', email, password: PASSWORD })
      const home = await client.request<{ householdId: string }>('POST', '/v1/households', {
        body: { name: 'Flat' },
      })
      const path = `/v1/households/${home.householdId}/live`
      await expect(client.request('GET', path)).rejects.toMatchObject({ status: 401 })
      await expect(client.request('GET', '/v1/me/export')).rejects.toMatchObject({ status: 401 })
      expect(raced.api.stats().api_live_streams).toBe(0)
    } finally {
      await raced.close()
    }
  })

  it('denying a recovery needs a fresh sign-in, or the password from before', async () => {
    let offsetMs = 0
    const clock = { nowMs: () => Date.now() + offsetMs }
    const later = await startRooms({ clock })
    try {
      const email = new Personal('ada@example.org')
      const client = createClient({ baseUrl: later.url, store: memorySessionStore(), clock })
      await join({ client, mail: later.mail, email, password: PASSWORD })
      await client.signIn({ clientId: 'hearthlock-cli', email, password: PASSWORD })
      offsetMs = 10 * 60_000 + 1_000
      await post(client, '/v1/recovery', { email: email.reveal() }, false)
      const [letter] = await later.mail.waiting()
      const { text } = await later.mail.show(letter?.letterId ?? '', newId<never>())
      const code = /[0-9A-Z]{5}-[0-9A-Z]{5}/.exec(text.reveal())?.[0]
      const body = { email: email.reveal(), code, newPassword: NEW_PASSWORD }
      await post(client, '/v1/recovery/complete', body, false)
      const deny = (proof: object) => post(client, '/v1/me/recovery/deny', proof)
      await expect(deny({})).rejects.toMatchObject({ code: 'fresh_sign_in_needed', status: 403 })
      await expect(deny({ formerPassword: NEW_PASSWORD })).rejects.toMatchObject({ status: 400 })
      expect(await deny({ formerPassword: PASSWORD.reveal() })).toBeUndefined()
    } finally {
      await later.close()
    }
  })

  it('another address needs a fresh sign-in', async () => {
    let offsetMs = 0
    const clock = { nowMs: () => Date.now() + offsetMs }
    const later = await startRooms({ clock })
    try {
      const client = createClient({ baseUrl: later.url, store: memorySessionStore(), clock })
      const email = new Personal('ada@example.org')
      await join({ client, mail: later.mail, email, password: PASSWORD })
      await client.signIn({ clientId: 'hearthlock-cli', email, password: PASSWORD })
      const change = () => post(client, '/v1/me/email', { email: 'new@example.org' })
      expect(await change()).toEqual({})
      offsetMs = 10 * 60_000 + 1_000
      await expect(change()).rejects.toMatchObject({ code: 'fresh_sign_in_needed', status: 403 })
    } finally {
      await later.close()
    }
  })

  it.each([
    ['/v1/recovery', { email: 'ada@example.org' }, { signUpsPer10MinutesPerAddress: 2 }],
    [
      '/v1/recovery/complete',
      { email: 'ada@example.org', code: '00000-00000', newPassword: NEW_PASSWORD },
      { signInsPerMinutePerAddress: 2 },
    ],
    [
      '/oauth/recovery?anything=/',
      { email: 'ada@example.org', code: '00000-00000', newPassword: NEW_PASSWORD },
      { signInsPerMinutePerAddress: 2 },
    ],
  ])('%s says honestly when it has been asked too often', async (path, body, limits) => {
    const strict = await startRooms({ limits })
    try {
      const ask = () =>
        fetch(strict.url + path, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        })
      for (let i = 0; i < 2; i++) expect((await ask()).status).not.toBe(429)
      const limited = await ask()
      expect(limited.status).toBe(429)
      expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0)
    } finally {
      await strict.close()
    }
  })
})
