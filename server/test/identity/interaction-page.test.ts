import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { answerWithPasskey, makePasskey } from './support/authenticator.ts'
import { ada, type Setup, setUp } from './support/setup.ts'
import { UserAgent } from './support/user-agent.ts'

let s: Setup
let agent: UserAgent
beforeAll(async () => {
  s = await setUp()
  await s.join(ada)
})
afterAll(() => s.close())

const email = ada.email.reveal()
const password = ada.password.reveal()
const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

async function begin(changes?: Record<string, string>): Promise<string> {
  agent = new UserAgent(s.url)
  return agent.begin(changes)
}

function submit(path: string, fields: Record<string, string>, headers: Record<string, string> = {}) {
  return agent.fetch(path, {
    method: 'POST',
    headers: { ...browser, 'content-type': 'application/x-www-form-urlencoded', origin: s.url, ...headers },
    body: new URLSearchParams(fields).toString(),
  })
}

describe('the sign-in page', () => {
  it('is a form that needs no script and is kind to password managers', async () => {
    const page = await openPage()
    expect(page.status).toBe(200)
    const html = await page.text()
    expect(html).toContain('<form method="post"')
    expect(html).toContain('autocomplete="username webauthn"')
    expect(html).toContain('autocomplete="current-password"')
    expect(html).toContain('name="viewport"')
    // What needs the script is shown by the script.
    expect(html).toMatch(/<div data-ceremony="sign-in"[^>]* hidden>/)
    expect(html).not.toMatch(/\bon\w+=|style="/)
  })

  it('has a policy that allows its own style, script and form and the way back to the app, and nothing else', async () => {
    const page = await openPage()
    const policy = page.headers.get('content-security-policy') as string
    const html = await page.text()
    const hashOf = (text?: string) =>
      `'sha256-${createHash('sha256')
        .update(text as string)
        .digest('base64')}'`
    const style = hashOf(/<style>([\s\S]*?)<\/style>/.exec(html)?.[1])
    const script = hashOf(/<script>([\s\S]*?)<\/script>/.exec(html)?.[1])
    expect(policy.split('; ').sort()).toEqual([
      "base-uri 'none'",
      "connect-src 'self'",
      "default-src 'none'",
      "form-action 'self' http://127.0.0.1:51234",
      "frame-ancestors 'none'",
      `script-src ${script}`,
      `style-src ${style}`,
    ])
    expect(page.headers.get('cache-control')).toBe('no-store')
    // With no-referrer browsers would send "Origin: null" with the form, and the origin check would refuse it.
    expect(page.headers.get('referrer-policy')).toBe('same-origin')
    expect(page.headers.get('x-content-type-options')).toBe('nosniff')
  })

  it('offers a passkey after a right password, and leads back to the app with or without', async () => {
    const path = await begin()
    const answer = await submit(path, { email, password })
    expect(answer.status).toBe(200)
    const offer = await answer.text()
    const ticket = /data-ticket="([\w-]{43})"/.exec(offer)?.[1]
    const next = /<a class="button second" href="([^"]*)"/.exec(offer)?.[1] as string
    const { passkey } = await makePasskey(agent, `${s.url}/oauth/passkeys#${ticket}`)
    const callback = await agent.resume(next)
    expect(callback.get('state')).toBe('some-state')
    expect(callback.get('iss')).toBe(s.url)
    expect(callback.get('code')).toBeTruthy()
    // Who has one is not asked again, and can use it the next time.
    const again = await begin()
    expect((await submit(again, { email, password })).status).toBe(303)
    expect((await answerWithPasskey(new UserAgent(s.url), passkey)).status).toBe(200)
  })

  it('says kindly what was wrong, keeps the address, escapes it, and never repeats the password', async () => {
    const path = await begin()
    const answer = await submit(path, {
      email: '"><script>alert(1)</script>@x.org',
      password: 'wrong & hushed',
    })
    expect(answer.status).toBe(401)
    const html = await answer.text()
    expect(html).toContain('role="alert"')
    expect(html).toContain('value="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;@x.org"')
    expect(html).not.toContain('<script>alert')
    expect(html).not.toContain('hushed')
  })

  async function openPage(): Promise<Response> {
    const path = await begin()
    return agent.fetch(path, { headers: browser })
  }
})

describe('a sign-in is refused', () => {
  it.each([
    ['a form from another site', { origin: 'https://evil.example' }],
    ['a form from nowhere', { origin: 'null' }],
    ['a form without an origin', { origin: '' }],
    ['JSON from another site', { origin: 'https://evil.example', 'content-type': 'application/json' }],
  ])('when it is %s', async (_what, headers) => {
    const path = await begin()
    const json = 'content-type' in headers
    const answer = await agent.fetch(path, {
      method: 'POST',
      headers: { ...browser, 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: json ? JSON.stringify({ email, password }) : new URLSearchParams({ email, password }).toString(),
    })
    expect(answer.status).toBe(400)
    expect(answer.headers.get('location')).toBeNull()
  })

  it('in a browser that did not begin it', async () => {
    const path = await begin()
    agent = new UserAgent(s.url)
    expect((await submit(path, { email, password })).status).toBe(400)
  })

  it('when the URL names another interaction than the cookie', async () => {
    await begin()
    expect((await submit('/oauth/interaction/another', { email, password })).status).toBe(400)
  })

  it('when it has expired', async () => {
    const path = await begin()
    s.clock.advance(15 * 60)
    const answer = await submit(path, { email, password })
    expect(answer.status).toBe(400)
    expect(await answer.text()).toContain('This sign-in has expired')
  })

  it.each([
    ['no password', 'application/x-www-form-urlencoded', 'email=a%40b.c', 400],
    ['no fields', 'application/json', '[]', 400],
    ['no JSON', 'application/json', '{"email"', 400],
    ['numbers', 'application/json', '{"email":1,"password":2}', 400],
    ['another type', 'text/plain', 'email=a', 400],
    ['too much', 'application/x-www-form-urlencoded', `email=a&password=${'x'.repeat(20_000)}`, 413],
  ])('with %s', async (_what, type, body, status) => {
    const path = await begin()
    const answer = await agent.fetch(path, {
      method: 'POST',
      headers: { ...browser, origin: s.url, 'content-type': type },
      body,
    })
    expect(answer.status).toBe(status)
  })
})

describe('a program', () => {
  it('gets problem details (RFC 9457)', async () => {
    const path = await begin()
    const answer = await agent.answer(path, email, 'wrong')
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(await answer.json()).toEqual({
      type: 'urn:hearthlock:error:sign_in_refused',
      title:
        'The e-mail address or the password is not right. After signing up, confirm the address with the mailed code first.',
      status: 401,
      code: 'sign_in_refused',
    })
  })

  it('may go on in the same interaction after a wrong password', async () => {
    const path = await begin()
    await agent.answer(path, email, 'wrong')
    const answer = await agent.answer(path, email, password)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(await answer.json()).toEqual({ redirectTo: expect.stringMatching(`^${s.url}/oauth/auth/`) })
  })
})

describe('an error page', () => {
  it('shows nothing of the request', async () => {
    const marker = '<b>marker</b>'
    for (const changes of [{ client_id: marker }, { redirect_uri: `http://x/${marker}` }]) {
      agent = new UserAgent(s.url)
      const answer = await agent.fetch(agent.authorizationUrl(changes), { headers: browser })
      expect(answer.status).toBe(400)
      expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
      const html = await answer.text()
      expect(html).toContain('This sign-in was refused')
      expect(html).not.toContain('marker')
    }
  })

  it('shows nothing of the request to a program either', async () => {
    agent = new UserAgent(s.url)
    const answer = await agent.fetch(agent.authorizationUrl({ client_id: 'marker' }), {
      headers: { accept: 'application/json' },
    })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toEqual({ error: 'invalid_client' })
  })
})
