import { generateKeyPairSync } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type CeremonyOptions,
  createSoftwarePasskey,
  type SoftwarePasskey,
} from '../../src/client/software-passkey.ts'
import { type AccountId, createLog, Personal } from '../../src/core/index.ts'
import type { PasskeyLink, Principal } from '../../src/identity/index.ts'
import { createWebAuthn } from '../../src/identity/webauthn.ts'
import {
  type Assertion,
  answerWithPasskey,
  assertion,
  challengeOf,
  makePasskey,
  post,
} from './support/authenticator.ts'
import { ada, type Setup, setUp } from './support/setup.ts'
import { newProofKey, type Tokens, UserAgent } from './support/user-agent.ts'

let s: Setup
let accountId: AccountId
/** Of Ada, who has a password. */
let adas: Principal
const lines: string[] = []
beforeAll(async () => {
  const log = createLog({ level: 'warn', destination: { write: (line) => void lines.push(line) } })
  s = await setUp({ log })
  await s.join(ada)
  const agent = new UserAgent(s.url)
  const { access_token } = await agent.signIn(ada.email.reveal(), ada.password.reveal())
  adas = await s.identity.authenticate(await agent.request(access_token))
  accountId = adas.accountId
})
afterAll(() => s.close())

let people = 0
/** Somebody who signed up with a passkey and has no password. */
async function somebody(): Promise<{ passkey: SoftwarePasskey; accountId: AccountId; email: Personal }> {
  people += 1
  const email = new Personal(`person-${people}@example.org`)
  const { url } = (await s.join({ email, name: new Personal('Grace') })) as PasskeyLink
  const { answer, passkey } = await makePasskey(new UserAgent(s.url), url.reveal())
  expect(answer.status).toBe(200)
  return { passkey, accountId: (await s.vault.findByEmail('customer', email)) as AccountId, email }
}
async function added(to: Principal): Promise<SoftwarePasskey> {
  const { url } = await s.identity.passkeys.add(to)
  const { answer, passkey } = await makePasskey(new UserAgent(s.url), url.reveal())
  expect(answer.status).toBe(200)
  return passkey
}
async function principalOf(passkey: SoftwarePasskey, changes: Assertion = {}) {
  const agent = new UserAgent(s.url)
  agent.key = await newProofKey()
  const answer = await answerWithPasskey(agent, passkey, changes)
  expect(answer.status).toBe(200)
  const { redirectTo } = (await answer.json()) as { redirectTo: string }
  const code = (await agent.resume(redirectTo)).get('code') as string
  const tokens = (await (await agent.exchange(code)).json()) as Tokens
  return await s.identity.authenticate(await agent.request(tokens.access_token))
}
const refusal = async (response: Response) => ({
  status: response.status,
  ...((await response.json()) as { code: string; title: string }),
})

describe('a passkey', () => {
  it('signs its owner in without a password or an address, and the sign-in says how', async () => {
    const passkey = await added(adas)
    const principal = await principalOf(passkey)
    expect(principal).toMatchObject({ accountId, kind: 'customer', methods: ['swk'] })
    expect(await principalOf(passkey, { flags: 0x05 })).toMatchObject({ methods: ['swk'] })
  })

  it('comes with a new account, which has no password', async () => {
    const grace = await somebody()
    expect(await principalOf(grace.passkey)).toMatchObject({ accountId: grace.accountId })
    const agent = new UserAgent(s.url)
    const answer = await agent.answer(await agent.begin(), grace.email.reveal(), 'correct horse battery')
    expect(answer.status).toBe(401)
  })

  it('is refused to the second of two confirmed sign-ups with one address, and opens nothing', async () => {
    const email = new Personal('twice@example.org')
    const [first, second] = [
      (await s.join({ email, name: new Personal('Grace') })) as PasskeyLink,
      (await s.join({ email, name: new Personal('Grace') })) as PasskeyLink,
    ]
    expect((await makePasskey(new UserAgent(s.url), first.url.reveal())).answer.status).toBe(200)
    const { answer, passkey } = await makePasskey(new UserAgent(s.url), second.url.reveal())
    expect(answer.status).toBe(409)
    expect((await answerWithPasskey(new UserAgent(s.url), passkey)).status).toBe(401)
  })

  it.each<[string, Assertion]>([
    ['another site', { origin: 'http://evil.example' }],
    ['another relying party', { rpId: 'evil.example' }],
    ['a creation in place of a sign-in', { type: 'webauthn.create' }],
    ['nobody verified', { flags: 0x09 }],
    ['nobody present', { flags: 0x0c }],
    ['no user handle', { userHandle: undefined }],
    ["somebody else's user handle", { userHandle: Buffer.alloc(16).toString('base64url') }],
    ['a challenge of its own', { challenge: Buffer.alloc(32).toString('base64url') }],
    [
      "another's key",
      { key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) },
    ],
  ])('is refused with %s, in the words that an unknown one gets', async (_what, changes) => {
    const { passkey } = await somebody()
    const unknown = { ...passkey, credentialId: Buffer.alloc(32, 7).toString('base64url') }
    const expected = await refusal(await answerWithPasskey(new UserAgent(s.url), unknown))
    expect(expected).toMatchObject({ status: 401, code: 'sign_in_refused' })
    expect(await refusal(await answerWithPasskey(new UserAgent(s.url), passkey, changes))).toEqual(expected)
    expect((await answerWithPasskey(new UserAgent(s.url), passkey)).status).toBe(200)
  })

  it.each([null, 7, 'text', {}, { id: 'x' }, { id: 'x', rawId: 'x', type: 'public-key', response: {} }])(
    'is refused when it is none: %j',
    async (nonsense) => {
      const agent = new UserAgent(s.url)
      const interaction = await agent.begin()
      await challengeOf(agent, interaction)
      expect((await post(agent, interaction, { passkey: nonsense })).status).toBe(401)
    },
  )

  it('of a customer does not open the door of operators', async () => {
    const { passkey } = await somebody()
    const agent = new UserAgent(s.url, 'hearthlock-operator-cli')
    expect((await answerWithPasskey(agent, passkey)).status).toBe(401)
  })

  it('whose counter does not grow is refused, and the log says that it may have been copied', async () => {
    const { passkey } = await somebody()
    await principalOf(passkey, { counter: 5 })
    for (const counter of [5, 4, 0]) {
      expect((await answerWithPasskey(new UserAgent(s.url), passkey, { counter })).status).toBe(401)
    }
    expect(lines.filter((line) => line.includes('may have a copy'))).toHaveLength(3)
    await principalOf(passkey, { counter: 6 })
  })

  it('used twice at the same moment with one counter signs in once', async () => {
    const { passkey } = await somebody()
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => answerWithPasskey(new UserAgent(s.url), passkey, { counter: 9 })),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401, 401, 401])
  })
})

describe('a challenge', () => {
  it('works once, even where the first attempt failed', async () => {
    const { passkey } = await somebody()
    const agent = new UserAgent(s.url)
    const interaction = await agent.begin()
    const challenge = await challengeOf(agent, interaction)
    const wrong = assertion(passkey, s.url, challenge, { flags: 0x09 })
    expect((await post(agent, interaction, { passkey: wrong })).status).toBe(401)
    const right = assertion(passkey, s.url, challenge)
    expect((await post(agent, interaction, { passkey: right })).status).toBe(401)
  })

  it('of another sign-in does not fit', async () => {
    const { passkey } = await somebody()
    const [mine, other] = [new UserAgent(s.url), new UserAgent(s.url)]
    const [here, there] = [await mine.begin(), await other.begin()]
    await challengeOf(mine, here)
    const stolen = assertion(passkey, s.url, await challengeOf(other, there))
    expect((await post(mine, here, { passkey: stolen })).status).toBe(401)
  })

  it('ends with its sign-in', async () => {
    const { passkey } = await somebody()
    const agent = new UserAgent(s.url)
    const interaction = await agent.begin()
    const challenge = await challengeOf(agent, interaction)
    s.clock.advance(15 * 60 + 1)
    const late = await post(agent, interaction, { passkey: assertion(passkey, s.url, challenge) })
    s.clock.advance(-15 * 60 - 1)
    expect(late.status).toBe(400)
  })

  it('is given to the browser that began, and to nobody else', async () => {
    const agent = new UserAgent(s.url)
    const interaction = await agent.begin()
    expect((await post(new UserAgent(s.url), `${interaction}/passkey`, {})).status).toBe(400)
  })

  it('names no passkey: who has an account cannot be asked', async () => {
    const agent = new UserAgent(s.url)
    const options = await (await post(agent, `${await agent.begin()}/passkey`, {})).json()
    expect(options).toMatchObject({ rpId: '127.0.0.1', userVerification: 'required' })
    expect(options).not.toHaveProperty('allowCredentials')
  })
})

describe('a link to make a passkey', () => {
  it('asks for one that is discoverable and verifies its user, and leaves out those that are there', async () => {
    const grace = await somebody()
    const { url } = await s.identity.passkeys.add(await principalOf(grace.passkey))
    const ticket = new URL(url.reveal()).hash.slice(1)
    const options = await (await post(new UserAgent(s.url), '/oauth/passkeys/options', { ticket })).json()
    expect(options).toMatchObject({
      rp: { id: '127.0.0.1' },
      user: { name: grace.email.reveal(), id: grace.passkey.userHandle },
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      attestation: 'none',
      excludeCredentials: [{ id: grace.passkey.credentialId }],
    })
  })

  it('keeps its secret half behind the #, where no log sees it', async () => {
    const { url } = await s.identity.passkeys.add(adas)
    const { pathname, search, hash } = new URL(url.reveal())
    expect([pathname, search]).toEqual(['/oauth/passkeys', ''])
    expect(Buffer.from(hash.slice(1), 'base64url')).toHaveLength(32)
  })

  it('works once, also when several use it at the same moment', async () => {
    const { url } = await s.identity.passkeys.add(adas)
    const ticket = new URL(url.reveal()).hash.slice(1)
    const before = (await s.identity.passkeys.list(accountId)).length
    const agent = new UserAgent(s.url)
    const options = (await (
      await post(agent, '/oauth/passkeys/options', { ticket })
    ).json()) as CeremonyOptions
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => {
        const { response } = createSoftwarePasskey(options, s.url)
        return post(agent, '/oauth/passkeys', { ticket, passkey: response })
      }),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 404, 404, 404, 404])
    expect((await makePasskey(agent, url.reveal())).answer.status).toBe(404)
    expect(await s.identity.passkeys.list(accountId)).toHaveLength(before + 1)
  })

  it('ends with the session that asked for it', async () => {
    const grace = await somebody()
    const thief = await principalOf(grace.passkey)
    const [used, unused] = [await s.identity.passkeys.add(thief), await s.identity.passkeys.add(thief)]
    expect((await makePasskey(new UserAgent(s.url), used.url.reveal())).answer.status).toBe(200)
    await s.identity.endOtherSessions(await principalOf(grace.passkey))
    expect((await makePasskey(new UserAgent(s.url), unused.url.reveal())).answer.status).toBe(404)
    expect(await s.identity.passkeys.list(grace.accountId)).toHaveLength(2)
  })

  it('ends after ten minutes', async () => {
    const { url } = await s.identity.passkeys.add(adas)
    s.clock.advance(10 * 60 + 1)
    expect((await makePasskey(new UserAgent(s.url), url.reveal())).answer.status).toBe(404)
    s.clock.advance(-10 * 60 - 1)
  })

  it.each<[string, (given: Record<string, unknown>) => unknown]>([
    ['no credential', () => ({})],
    [
      'one that is not discoverable',
      (given) => ({ ...given, clientExtensionResults: { credProps: { rk: false } } }),
    ],
    [
      'an answer to another challenge',
      (given) => ({
        ...given,
        response: {
          ...(given.response as object),
          clientDataJSON: Buffer.from(
            JSON.stringify({ type: 'webauthn.create', challenge: 'AAAA', origin: s.url }),
          ).toString('base64url'),
        },
      }),
    ],
  ])('refuses %s', async (_what, change) => {
    const { url } = await s.identity.passkeys.add(adas)
    const before = (await s.identity.passkeys.list(accountId)).length
    const { answer } = await makePasskey(new UserAgent(s.url), url.reveal(), change)
    expect((await refusal(answer)).code).toBe('invalid_request')
    expect(await s.identity.passkeys.list(accountId)).toHaveLength(before)
  })

  it('refuses an attestation with certificates before it is looked at: checking one visits addresses in it', async () => {
    const webauthn = createWebAuthn({ issuer: s.url })
    const challenge = Buffer.alloc(32).toString('base64url')
    const { response } = createSoftwarePasskey(
      { challenge, rp: { id: '127.0.0.1' }, user: { id: 'AAAA' } },
      s.url,
    )
    await expect(webauthn.verifyCreation(response, challenge)).resolves.toMatchObject({ id: response.id })
    const attested = { ...response, response: { ...response.response, attestationObject: withCertificate } }
    await expect(webauthn.verifyCreation(attested, challenge)).rejects.toMatchObject({
      code: 'invalid_request',
      detail: 'an attestation that nobody asked for',
    })
  })

  it('refuses a foreign page', async () => {
    const { url } = await s.identity.passkeys.add(adas)
    const response = await fetch(`${s.url}/oauth/passkeys/options`, {
      method: 'POST',
      headers: { origin: 'http://evil.example', 'content-type': 'application/json' },
      body: JSON.stringify({ ticket: new URL(url.reveal()).hash.slice(1) }),
    })
    expect(response.status).toBe(400)
  })
})

describe('the list of passkeys', () => {
  it('names them, tells when they were added and used, and follows renaming and removing', async () => {
    const grace = await somebody()
    await added(await principalOf(grace.passkey))
    await principalOf(grace.passkey)
    const [first, second] = await s.identity.passkeys.list(grace.accountId)
    expect(first?.usedAtMs).toBeGreaterThan(0)
    expect(second?.usedAtMs).toBeUndefined()
    await s.identity.passkeys.rename(grace.accountId, first?.passkeyId as string, new Personal('Key ring'))
    expect((await s.identity.passkeys.list(grace.accountId))[0]?.name.reveal()).toBe('Key ring')
    await s.identity.passkeys.remove(grace.accountId, first?.passkeyId as string)
    expect((await answerWithPasskey(new UserAgent(s.url), grace.passkey)).status).toBe(401)
  })

  it("does not let one account touch another's", async () => {
    const [grace, eve] = [await somebody(), await somebody()]
    const [hers] = await s.identity.passkeys.list(grace.accountId)
    const id = hers?.passkeyId as string
    await expect(s.identity.passkeys.remove(eve.accountId, id)).rejects.toMatchObject({ code: 'not_found' })
    await expect(s.identity.passkeys.rename(eve.accountId, id, new Personal('x'))).rejects.toMatchObject({
      code: 'not_found',
    })
  })

  it('keeps the last way in, also from two removals at once', async () => {
    const grace = await somebody()
    await added(await principalOf(grace.passkey))
    const ids = (await s.identity.passkeys.list(grace.accountId)).map(({ passkeyId }) => passkeyId)
    const outcomes = await Promise.allSettled(
      ids.map((id) => s.identity.passkeys.remove(grace.accountId, id)),
    )
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(await s.identity.passkeys.list(grace.accountId)).toHaveLength(1)
  })

  it('lets the last one go where there is a password', async () => {
    for (const { passkeyId } of await s.identity.passkeys.list(accountId)) {
      await s.identity.passkeys.remove(accountId, passkeyId)
    }
    expect(await s.identity.passkeys.list(accountId)).toEqual([])
  })
})

/** { fmt: "packed", attStmt: { x5c: [ … ] }, authData } */
const withCertificate = Buffer.concat([
  Buffer.from('a363', 'hex'),
  Buffer.from('fmt'),
  Buffer.from('66', 'hex'),
  Buffer.from('packed'),
  Buffer.from('67', 'hex'),
  Buffer.from('attStmt'),
  Buffer.from('a163', 'hex'),
  Buffer.from('x5c'),
  Buffer.from('814130', 'hex'),
  Buffer.from('68', 'hex'),
  Buffer.from('authData'),
  Buffer.from([0x41, 0]),
]).toString('base64url')
