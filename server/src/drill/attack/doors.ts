import { randomBytes } from 'node:crypto'
import mqtt from 'mqtt'
import { newProofKey } from '../../client/index.ts'
import { Secret, systemClock } from '../../core/index.ts'
import { type Answered, type Asked, createHttpDoor, loopback } from './http-door.ts'

export type Outcome = 'accepted' | 'refused' | 'limited'

/** One kind of credential, at the live door that takes it. */
export interface Door {
  name: string
  /** Beyond so many tries in all, a limit stands before the check, whatever network they come from. */
  tries: number
  knock(candidate: string): Promise<Outcome>
}

export interface LivePlace {
  url: string
  mqttUrl: string
  authorityPem: string | undefined
  /** Devices of the place, by id. */
  deviceIds: readonly string[]
  /** A person of the place, whose address the attacker knows. */
  email: string
  /** Signed in as the attacker, who has an account like anybody else: for what only the signed in may try. */
  signedIn: ((asked: Asked) => Promise<Answered>) | undefined
  /** Nothing there bounds tries: it was planted. */
  isPlanted?: boolean
}

const UNLIMITED = Number.POSITIVE_INFINITY
/** Wrong passwords of one device, from everywhere; docs/devices.md. */
const TRIES_A_DEVICE = 9
/** Wrong codes of one account. */
const TRIES_AN_ACCOUNT = 8

export async function doorsOf(place: LivePlace): Promise<Door[]> {
  const ask = createHttpDoor(place.url)
  const key = await newProofKey(systemClock)
  let nonce: string | undefined
  /** With a proof by the attacker's own key, and the server's nonce as soon as there is one. */
  async function proving({ accessToken, ...asked }: Asked & { accessToken?: string }): Promise<Outcome> {
    for (let again = false; ; again = true) {
      const dpop = await key.prove({
        method: asked.method,
        url: new URL(asked.path, place.url),
        accessToken: accessToken === undefined ? undefined : new Secret(accessToken),
        nonce,
      })
      const answer = await ask({ ...asked, headers: { ...asked.headers, dpop } })
      const given = answer.headers['dpop-nonce']
      const isNew = typeof given === 'string' && given !== nonce
      if (typeof given === 'string') nonce = given
      if (again || !isNew) return outcomeOf(answer)
    }
  }
  const http = (name: string, asked: (candidate: string) => Asked): Door => ({
    name,
    tries: UNLIMITED,
    knock: async (candidate) => outcomeOf(await ask(asked(candidate))),
  })
  const asBody = (name: string, path: string, body: (candidate: string) => object) =>
    http(name, (candidate) => ({ method: 'POST', path, body: body(candidate) }))
  const token = (name: string, form: (candidate: string) => Record<string, string>): Door => ({
    name,
    tries: UNLIMITED,
    knock: (candidate) =>
      proving({
        method: 'POST',
        path: '/oauth/token',
        form: { client_id: 'hearthlock-cli', ...form(candidate) },
      }),
  })
  const signedIn = (name: string, path: string, body: (candidate: string) => object): Door[] => {
    const { signedIn: send } = place
    return send
      ? [
          {
            name,
            tries: place.isPlanted ? UNLIMITED : TRIES_AN_ACCOUNT,
            knock: async (candidate) =>
              outcomeOf(await send({ method: 'POST', path, body: body(candidate) })),
          },
        ]
      : []
  }
  return [
    http('HTTP bearer token', (candidate) => ({
      method: 'GET',
      path: '/v1/me',
      headers: { authorization: `Bearer ${header(candidate)}` },
    })),
    {
      name: 'HTTP token with the attacker’s own proof',
      tries: UNLIMITED,
      knock: (candidate) =>
        proving({
          method: 'GET',
          path: '/v1/me',
          accessToken: candidate,
          headers: { authorization: `DPoP ${header(candidate)}` },
        }),
    },
    token('refresh token', (candidate) => ({ grant_type: 'refresh_token', refresh_token: candidate })),
    token('authorization code', (candidate) => ({
      grant_type: 'authorization_code',
      code: candidate,
      redirect_uri: 'http://127.0.0.1/callback',
      code_verifier: randomBytes(32).toString('base64url'),
    })),
    http('session cookie', (candidate) => ({
      method: 'GET',
      path: `/oauth/auth?client_id=hearthlock-cli&response_type=code&redirect_uri=${encodeURIComponent('http://127.0.0.1/callback')}&scope=openid&prompt=none&code_challenge=${randomBytes(32).toString('base64url')}&code_challenge_method=S256`,
      headers: { cookie: `hearthlock_session=${header(candidate)}` },
    })),
    asBody('recovery code', '/v1/recovery/complete', (code) => ({
      email: place.email,
      code,
      newPassword: randomBytes(12).toString('base64url'),
    })),
    asBody('operator’s enrolment code', '/v1/operators', (code) => ({
      code,
      email: 'thief@drill.example',
      name: 'Thief',
    })),
    asBody('link to add a passkey', '/oauth/passkeys/options', (ticket) => ({ ticket })),
    ...signedIn('invitation', '/v1/invitations/accept', (code) => ({ code })),
    mqttDoor(place),
  ]
}

/** A success, or the redirect that hands out a code. */
function outcomeOf({ status, headers }: Answered): Outcome {
  if (status === 429 || status === 503) return 'limited'
  const location = String(headers.location ?? '')
  if (status >= 300 && status < 400) return /[?&]code=/.test(location) ? 'accepted' : 'refused'
  return status >= 200 && status < 300 ? 'accepted' : 'refused'
}

/** What no header can carry cannot be a credential there. */
function header(candidate: string): string {
  return candidate.replaceAll(/[^\x21-\x7e]/g, '')
}

function mqttDoor(place: LivePlace): Door {
  let knocks = 0
  return {
    name: 'MQTT password',
    tries: place.isPlanted ? UNLIMITED : place.deviceIds.length * TRIES_A_DEVICE,
    knock(password) {
      const username = place.deviceIds[knocks % place.deviceIds.length] ?? ''
      knocks += 1
      return mqttConnect(place, { username, clientId: username, password }, knocks)
    },
  }
}

/** One CONNECT, and the answer to it. */
export function mqttConnect(
  place: LivePlace,
  options: mqtt.IClientOptions,
  network: number,
): Promise<Outcome> {
  const client = mqtt.connect(place.mqttUrl, {
    protocolVersion: 5,
    reconnectPeriod: 0,
    connectTimeout: 10_000,
    ...(place.authorityPem === undefined ? {} : { ca: place.authorityPem }),
    ...(process.platform === 'linux' ? { localAddress: loopback(network) } : {}),
    ...options,
  } as mqtt.IClientOptions)
  return new Promise((resolve) => {
    const settle = (outcome: Outcome) => {
      client.end(true)
      resolve(outcome)
    }
    client.on('connect', () => settle('accepted'))
    // 0x9F: connection rate exceeded, 0x97: quota exceeded.
    client.on('error', (error) =>
      settle([0x9f, 0x97].includes((error as { code?: number }).code ?? 0) ? 'limited' : 'refused'),
    )
    client.on('close', () => settle('refused'))
  })
}
