import { createHash, createPrivateKey, sign } from 'node:crypto'
import { createSoftwarePasskey, type SoftwarePasskey } from '../../../src/client/software-passkey.ts'
import type { UserAgent } from './user-agent.ts'

/** What an authenticator and its browser may get wrong, or do on purpose. */
export interface Assertion {
  rpId?: string
  origin?: string
  type?: string
  flags?: number
  counter?: number
  userHandle?: string | undefined
  challenge?: string
  key?: SoftwarePasskey['privateJwk']
}

/** An assertion of which every part can be wrong (the command's own authenticator makes right ones only). */
export function assertion(
  passkey: SoftwarePasskey,
  origin: string,
  challenge: string,
  changes: Assertion = {},
) {
  const counter = Buffer.alloc(4)
  counter.writeUInt32BE(changes.counter ?? 0)
  const authData = Buffer.concat([
    createHash('sha256')
      .update(changes.rpId ?? passkey.rpId)
      .digest(),
    Buffer.from([changes.flags ?? 0x0d]),
    counter,
  ])
  const client = Buffer.from(
    JSON.stringify({
      type: changes.type ?? 'webauthn.get',
      challenge: changes.challenge ?? challenge,
      origin: changes.origin ?? origin,
      crossOrigin: false,
    }),
  )
  const signed = Buffer.concat([authData, createHash('sha256').update(client).digest()])
  const key = createPrivateKey({ key: changes.key ?? passkey.privateJwk, format: 'jwk' })
  return {
    id: passkey.credentialId,
    rawId: passkey.credentialId,
    type: 'public-key',
    response: {
      clientDataJSON: client.toString('base64url'),
      authenticatorData: authData.toString('base64url'),
      signature: sign('sha256', signed, key).toString('base64url'),
      userHandle: 'userHandle' in changes ? changes.userHandle : passkey.userHandle,
    },
    clientExtensionResults: {},
  }
}

const json = { accept: 'application/json', 'content-type': 'application/json' }

/** Posts JSON as our page's script does. */
export function post(agent: UserAgent, path: string, body: unknown): Promise<Response> {
  return agent.fetch(path, { method: 'POST', headers: json, body: JSON.stringify(body) })
}

export async function challengeOf(agent: UserAgent, interaction: string): Promise<string> {
  const options = (await (await post(agent, `${interaction}/passkey`, {})).json()) as { challenge: string }
  return options.challenge
}

/** A whole sign-in with a passkey; `changes` to what the authenticator says. */
export async function answerWithPasskey(
  agent: UserAgent,
  passkey: SoftwarePasskey,
  changes: Assertion = {},
): Promise<Response> {
  const interaction = await agent.begin()
  const challenge = await challengeOf(agent, interaction)
  return await post(agent, interaction, { passkey: assertion(passkey, agent.issuer, challenge, changes) })
}

/** Makes a passkey by a link. */
export async function makePasskey(
  agent: UserAgent,
  link: string,
  change: (response: ReturnType<typeof createSoftwarePasskey>['response']) => unknown = (response) =>
    response,
): Promise<{ answer: Response; passkey: SoftwarePasskey }> {
  const ticket = new URL(link).hash.slice(1)
  const asked = await post(agent, '/oauth/passkeys/options', { ticket })
  if (!asked.ok) return { answer: asked, passkey: undefined as never }
  const options = (await asked.json()) as Parameters<typeof createSoftwarePasskey>[0]
  const { passkey, response } = createSoftwarePasskey(options, agent.issuer)
  const answer = await post(agent, '/oauth/passkeys', { ticket, passkey: change(response) })
  return { answer, passkey }
}
