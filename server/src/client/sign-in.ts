import { createHash, randomBytes } from 'node:crypto'
import type { Clock, Personal, Secret } from '../core/index.ts'
import { awaitBrowser, type BrowserReturn } from './browser-sign-in.ts'
import { ClientError, errorOf, unexpected } from './client-error.ts'
import { createCookieJar } from './cookie-jar.ts'
import { newProofKey } from './dpop.ts'
import { send } from './http.ts'
import { discover, requestTokens } from './oauth.ts'
import type { StoredSession } from './session-store.ts'
import { type CeremonyOptions, type SoftwarePasskey, useSoftwarePasskey } from './software-passkey.ts'

export type ClientId = 'hearthlock-cli' | 'hearthlock-operator-cli'

export type SignInRequest = { clientId: ClientId } & Proof

/** By what a person proves who they are, here or in a browser. */
type Proof = HereProof | { browser: (url: URL) => void; signal: AbortSignal }
type HereProof =
  | {
      email: Personal
      password: Secret
      /** Asked for when the account has a second factor. */
      code?: (() => Promise<Secret>) | undefined
    }
  | { passkey: SoftwarePasskey }

/** RFC 8252 section 7.3. Nothing listens there: this client is its own user agent and reads the redirect itself. */
const REDIRECT_URI = 'http://127.0.0.1/callback'
const MAX_REDIRECTS = 6

/** Authorization code with PKCE (RFC 7636), the code and the tokens bound to a new key (RFC 9449 section 10). */
export async function signIn(
  { baseUrl, clock }: { baseUrl: string; clock: Clock },
  { clientId, ...proof }: SignInRequest,
): Promise<StoredSession> {
  const endpoints = await discover(baseUrl)
  const key = await newProofKey(clock)
  const verifier = randomBytes(32).toString('base64url')
  const state = randomBytes(16).toString('base64url')
  const browser = 'browser' in proof ? await awaitBrowser(state) : undefined
  const redirectUri = browser?.redirectUri ?? REDIRECT_URI
  const start = new URL(endpoints.authorization)
  start.search = new URLSearchParams({
    client_id: clientId,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: 'openid offline_access',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    dpop_jkt: key.thumbprint,
    state,
  }).toString()

  const callback = await comeBack(start, baseUrl, proof, browser)
  const answer = callback.searchParams
  // RFC 9207: the answer must be from the server that was asked; `state` ties it to this very request.
  if (answer.get('state') !== state) throw unexpected('state')
  if (answer.has('iss') && answer.get('iss') !== endpoints.issuer) throw unexpected('iss')
  const code = answer.get('code')
  if (!code) {
    throw new ClientError({
      code: answer.get('error') ?? 'unexpected',
      status: 400,
      message: answer.get('error_description') ?? 'The sign-in was refused.',
    })
  }
  const tokens = await requestTokens({
    endpoint: endpoints.token,
    key,
    clock,
    parameters: {
      grant_type: 'authorization_code',
      client_id: clientId,
      redirect_uri: redirectUri,
      code,
      code_verifier: verifier,
    },
  })
  return { baseUrl, clientId, privateJwk: key.privateJwk, ...tokens }
}

async function comeBack(
  start: URL,
  baseUrl: string,
  proof: Proof,
  browser: BrowserReturn | undefined,
): Promise<URL> {
  if (!browser || !('browser' in proof)) return await passInteraction(start, baseUrl, proof as HereProof)
  try {
    proof.browser(start)
    return await browser.wait(proof.signal)
  } finally {
    browser.close()
  }
}

/** Goes where a browser would go, answers the form, and returns the redirect that ends the sign-in. */
async function passInteraction(start: URL, baseUrl: string, proof: HereProof): Promise<URL> {
  const jar = createCookieJar()
  let url = start
  let answered = false

  async function ask(target: URL, body?: unknown): Promise<Response> {
    const headers: Record<string, string> = { accept: 'application/json' }
    const cookie = jar.headerFor(target)
    if (cookie) headers.cookie = cookie
    if (body !== undefined) {
      Object.assign(headers, { origin: target.origin, 'content-type': 'application/json' })
    }
    const response = await send(target, {
      method: body === undefined ? 'GET' : 'POST',
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    jar.take(response)
    return response
  }
  async function answerForm(form: URL): Promise<Response> {
    if (!('passkey' in proof)) {
      const answer = await ask(form, { email: proof.email.reveal(), password: proof.password.reveal() })
      if (answer.status !== 422 || !proof.code) return answer
      const refused = await errorOf(answer)
      if (refused.code !== 'second_factor_needed') throw refused
      return await ask(form, { code: (await proof.code()).reveal() })
    }
    const options = await ask(new URL(`${form.pathname}/passkey`, form), {})
    if (!options.ok) return options
    const ceremony = (await options.json()) as CeremonyOptions
    return await ask(form, { passkey: useSoftwarePasskey(proof.passkey, ceremony, form.origin) })
  }

  for (let step = 0; step < MAX_REDIRECTS; step += 1) {
    const isForm = url.pathname.startsWith('/oauth/interaction/')
    // The password goes once, and only to the server that was named.
    if (isForm && answered) throw unexpected('a second form')
    const response = isForm ? await answerForm(url) : await ask(url)
    answered ||= isForm
    const next = await nextOf(response, url)
    if (next.href.startsWith(`${REDIRECT_URI}?`)) return next
    if (next.origin !== new URL(baseUrl).origin) throw unexpected('a redirect elsewhere')
    url = next
  }
  throw unexpected('too many redirects')
}

async function nextOf(response: Response, from: URL): Promise<URL> {
  if (response.status >= 400) throw await errorOf(response)
  const location = response.headers.get('location')
  if (location !== null) {
    await response.body?.cancel()
    return new URL(location, from)
  }
  const body = (await response.json().catch(() => undefined)) as { redirectTo?: unknown } | undefined
  if (typeof body?.redirectTo === 'string') return new URL(body.redirectTo, from)
  throw unexpected('no redirect', response.status)
}
