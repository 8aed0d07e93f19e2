import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ada, type Setup, setUp } from './support/setup.ts'
import { UserAgent } from './support/user-agent.ts'

let s: Setup
beforeAll(async () => {
  s = await setUp()
  await s.join(ada)
})
afterAll(() => s.close())

function post(fields: Record<string, string>, headers: Record<string, string> = { origin: s.url }) {
  return fetch(`${s.url}/oauth/recovery`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams(fields).toString(),
  })
}

describe('"Forgot password"', () => {
  it('stands on the sign-in page of customers, and not on that of operators', async () => {
    const pageOf = async (clientId: string) => {
      const agent = new UserAgent(s.url, clientId)
      return await (await agent.fetch(await agent.begin(), { headers: { accept: 'text/html' } })).text()
    }
    expect(await pageOf('hearthlock-cli')).toContain('href="/oauth/recovery"')
    expect(await pageOf('hearthlock-operator-cli')).not.toContain('/oauth/recovery')
  })

  it('leads by forms without a script from the address over the code to a new password', async () => {
    const first = await fetch(`${s.url}/oauth/recovery`)
    expect(first.headers.get('content-security-policy')).not.toContain('script-src')
    expect(await first.text()).toContain('Mail me a code')
    const second = await post({ email: 'ada@example.org' })
    expect(await second.text()).toContain('name="code"')
    const { code } = await s.lastLetter()
    const wrong = {
      email: 'ada@example.org',
      code: '00000-00000',
      newPassword: 'another long password',
      otp: '',
    }
    const refused = await post(wrong)
    expect(refused.status).toBe(422)
    expect(await refused.text()).toContain('This code cannot be used')
    const done = await post({ ...wrong, code: code.reveal() })
    expect(done.status).toBe(200)
    expect(await done.text()).toContain('The new password holds')
    await expect(
      new UserAgent(s.url).signIn('ada@example.org', 'another long password'),
    ).resolves.toBeTruthy()
  })

  it('shows the same for an address without an account', async () => {
    const [known, unknown] = await Promise.all(
      ['ada@example.org', 'eve@example.org'].map(async (email) => {
        const response = await post({ email })
        return [response.status, (await response.text()).replaceAll(email, '')]
      }),
    )
    expect(known).toEqual(unknown)
  })

  it('takes no form from another site, reflects nothing as markup, and is cached nowhere', async () => {
    for (const headers of [{ origin: 'https://evil.example' }, {}])
      expect((await post({ email: 'ada@example.org' }, headers)).status).toBe(400)
    const page = await post({ email: '<b>@example.org"' })
    expect(page.headers.get('cache-control')).toBe('no-store')
    expect(await page.text()).not.toContain('<b>@')
    expect((await fetch(`${s.url}/oauth/recovery`, { method: 'DELETE' })).status).toBe(404)
  })
})
