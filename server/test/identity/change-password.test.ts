import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/core/index.ts'
import type { Principal } from '../../src/identity/index.ts'
import { ada, type Setup, setUp } from './support/setup.ts'
import { UserAgent } from './support/user-agent.ts'

let s: Setup
beforeEach(async () => {
  s = await setUp()
  await s.join(ada)
})
afterEach(() => s.close())

const email = ada.email.reveal()
const next = new Secret('seven nanoseconds')
async function signedIn(password = ada.password.reveal()) {
  const agent = new UserAgent(s.url)
  const { access_token } = await agent.signIn(email, password)
  return async () => await s.identity.authenticate(await agent.request(access_token))
}
const change = (principal: Principal, current: Secret | undefined, byFreshSignIn = true) =>
  s.identity.changePassword(principal, { current, next, byFreshSignIn })

describe('changing the password', () => {
  it('needs the present one, ends every other session, and keeps this one', async () => {
    const [here, there] = [await signedIn(), await signedIn()]
    await expect(change(await here(), new Secret('not the password'))).rejects.toMatchObject({
      code: 'invalid_request',
    })
    await expect(change(await here(), undefined)).rejects.toMatchObject({ code: 'invalid_request' })
    await there()
    await change(await here(), ada.password)
    await here()
    await expect(there()).rejects.toThrow('Sign in')
    await expect(signedIn()).rejects.toThrow()
    await (await signedIn('seven nanoseconds'))()
  })

  it('needs no present one after a fresh sign-in with a passkey, and does after an old one', async () => {
    const byPasskey: Principal = { ...(await (await signedIn())()), methods: ['swk'] }
    await expect(change(byPasskey, undefined, false)).rejects.toMatchObject({ code: 'invalid_request' })
    await change(byPasskey, undefined)
    await (await signedIn('seven nanoseconds'))()
  })

  it('does not take a weak one, also not one made of the person’s name', async () => {
    const here = await signedIn()
    const weak = s.identity.changePassword(await here(), {
      current: ada.password,
      next: new Secret('Password1234'),
      byFreshSignIn: true,
    })
    await expect(weak).rejects.toMatchObject({ code: 'invalid_request' })
  })

  it('is undone where the session was ended while the new one was hashed, and ends no other', async () => {
    const [thief, owner] = [await signedIn(), await signedIn()]
    const [late, kept] = [await thief(), await owner()]
    // Authenticated before, acts after.
    await s.identity.endOtherSessions(kept)
    await expect(change(late, ada.password)).rejects.toMatchObject({ code: 'unauthenticated' })
    await owner()
    await expect(signedIn('seven nanoseconds')).rejects.toThrow()
    await (await signedIn())()
  })

  it('is not a way to guess the present one', async () => {
    await s.close()
    s = await setUp({ limits: { codePerAccount: { burst: 2, everySeconds: 60 } } })
    await s.join(ada)
    const here = await (await signedIn())()
    for (let i = 0; i < 2; i++) {
      await expect(change(here, new Secret('not the password'))).rejects.toMatchObject({
        code: 'invalid_request',
      })
    }
    await expect(change(here, ada.password)).rejects.toMatchObject({ code: 'rate_limited' })
  })
})
