import { type Clock, type Personal, Secret, systemClock } from '../core/index.ts'
import { errorOf, isClientError, unexpected } from './client-error.ts'
import { send } from './http.ts'
import { type LiveOptions, type LiveUpdate, watchLive } from './live.ts'
import { createSession } from './session.ts'
import type { SessionStore } from './session-store.ts'
import { type SignInRequest, signIn } from './sign-in.ts'
import { type CeremonyOptions, createSoftwarePasskey, type SoftwarePasskey } from './software-passkey.ts'

export interface ClientOptions {
  /** Scheme, host and port of the server, no path. */
  baseUrl: string
  store: SessionStore
  clock?: Clock | undefined
}

export interface RequestOptions {
  body?: unknown
  headers?: Record<string, string> | undefined
  signal?: AbortSignal | undefined
  /** False for the public routes: no token goes along. */
  signedIn?: boolean | undefined
  /** For an answer that takes as long as there is much to count. */
  withoutTimeout?: boolean | undefined
}

/** Where a browser, or this program, makes a passkey: one use, ten minutes. */
export interface PasskeyLink {
  url: Secret
}

/** A sign-up whose code has not come back. */
export interface SignUp {
  signUpId: string
}

/** Hearthlock's public HTTP API, for one account. All methods throw ClientError. */
export interface Client {
  /** The answer, which `confirmSignUp` wants again, does not tell whether the address has an account already. */
  signUp(person: { email: Personal; name: Personal; password?: Secret | undefined }): Promise<SignUp>
  /** By the mailed code. Without a password: the link by which the passkey is made, and the account with it. */
  confirmSignUp(signUp: SignUp & { code: Secret }): Promise<PasskeyLink | undefined>
  /**
   * Makes a passkey here, by a link; nothing but this program has its private key. `keep` comes before the server hears
   * of it: an account whose one passkey was lost on the way would be lost, too.
   */
  makePasskey(
    link: PasskeyLink,
    o?: { name?: Personal; keep?: (passkey: SoftwarePasskey) => Promise<void> },
  ): Promise<SoftwarePasskey>
  /** Answers the link by which the operator's passkey is made, and the account with it. */
  enrolOperator(person: { code: Secret; email: Personal; name: Personal }): Promise<PasskeyLink>
  signIn(request: SignInRequest): Promise<void>
  /** Forgets the session here in any case; throws when the server could not be told. */
  signOut(): Promise<void>
  /** Forgets the session here, when the server has ended it. */
  forget(): Promise<void>
  /** The JSON of the answer; undefined when it has none. */
  request<T = unknown>(method: string, path: string, options?: RequestOptions): Promise<T>
  /** The body of an answer that is too large to hold, as it comes. */
  download(path: string): Promise<AsyncIterable<Uint8Array>>
  /** Resolves when `signal` aborts. */
  live(
    householdId: string,
    onUpdate: (update: LiveUpdate) => void,
    signal: AbortSignal,
    options?: LiveOptions,
  ): Promise<void>
}

export function createClient({ baseUrl: given, store, clock = systemClock }: ClientOptions): Client {
  const baseUrl = new URL(given).origin
  const session = createSession({ baseUrl, store, clock })

  async function publicly(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const body = bodyOf(options)
    return await send(targetOf(baseUrl, path), {
      method,
      headers: { accept: 'application/json', ...options.headers, ...body.headers },
      body: body.text,
      signal: options.signal,
    })
  }

  /** Sends with the token and a proof for this very request; renews a refused token once, and a refused nonce. */
  async function authorized(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const url = targetOf(baseUrl, path)
    const body = bodyOf(options)
    let renewed = false
    let askedForNonce = false
    for (;;) {
      const { session: used, key } = await session.current()
      const { accessToken } = used
      const response = await send(url, {
        method,
        headers: {
          accept: 'application/json',
          ...options.headers,
          ...body.headers,
          authorization: `DPoP ${accessToken.reveal()}`,
          dpop: await key.prove({ method, url, accessToken, nonce: session.nonce(used) }),
        },
        body: body.text,
        signal: options.signal,
        withoutTimeout: options.withoutTimeout,
      })
      const nonce = response.headers.get('dpop-nonce')
      if (nonce) session.takeNonce(nonce)
      if (response.status !== 401) return response
      // RFC 9449 section 9: the same once more, with the server's nonce.
      if (nonce && !askedForNonce && wantsNonce(response)) {
        askedForNonce = true
        await response.body?.cancel()
        await session.keepNonce(used, nonce)
        continue
      }
      if (renewed) return response
      renewed = true
      await response.body?.cancel()
      await session.renew(used)
    }
  }

  return {
    async signUp({ email, name, password }) {
      const body = { email: email.reveal(), name: name.reveal(), password: password?.reveal() }
      const { signUpId } = (await read(await publicly('POST', '/v1/sign-up', { body }))) as Partial<SignUp>
      if (typeof signUpId !== 'string') throw unexpected('signUpId')
      return { signUpId }
    },
    async confirmSignUp({ signUpId, code }) {
      const body = { signUpId, code: code.reveal() }
      const answer = await read(await publicly('POST', '/v1/sign-up/confirm', { body }))
      return (answer as { passkey?: unknown }).passkey === undefined ? undefined : linkOf(answer)
    },
    async makePasskey({ url }, { name, keep } = {}) {
      const link = new URL(url.reveal())
      if (link.origin !== baseUrl) throw unexpected('a link elsewhere')
      const ticket = link.hash.slice(1)
      const options = await read(await publicly('POST', `${link.pathname}/options`, { body: { ticket } }))
      const made = createSoftwarePasskey(options as CeremonyOptions, baseUrl)
      await keep?.(made.passkey)
      const body = { ticket, passkey: made.response, ...(name && { name: name.reveal() }) }
      await read(await publicly('POST', link.pathname, { body }))
      return made.passkey
    },
    async enrolOperator({ code, email, name }) {
      const body = { code: code.reveal(), email: email.reveal(), name: name.reveal() }
      return linkOf(await read(await publicly('POST', '/v1/operators', { body })))
    },
    async signIn(request) {
      await session.replace(await signIn({ baseUrl, clock }, request))
    },
    async signOut() {
      try {
        await read(await authorized('DELETE', '/v1/me/session'))
      } catch (error) {
        if (!isClientError(error, 'unauthenticated')) throw error
      } finally {
        await session.forget()
      }
    },
    forget: () => session.forget(),
    async request<T>(method: string, path: string, options: RequestOptions = {}) {
      const ask = options.signedIn === false ? publicly : authorized
      return (await read(await ask(method, path, options))) as T
    },
    async download(path) {
      const headers = { accept: 'application/x-ndjson' }
      const response = await authorized('GET', path, { headers, withoutTimeout: true })
      if (!response.ok) throw await errorOf(response)
      if (!response.body) throw unexpected('no body', response.status)
      return response.body
    },
    live(householdId, onUpdate, signal, options) {
      const path = `/v1/households/${encodeURIComponent(householdId)}/live`
      const headers = { accept: 'text/event-stream' }
      return watchLive(
        async (stop) => {
          const response = await authorized('GET', path, { headers, signal: stop, withoutTimeout: true })
          if (!response.ok) throw await errorOf(response)
          return response
        },
        onUpdate,
        signal,
        options,
      )
    },
  }
}

function linkOf(answer: unknown): PasskeyLink {
  const { url } = (answer as { passkey?: { url?: unknown } }).passkey ?? {}
  if (typeof url !== 'string') throw unexpected('passkey')
  return { url: new Secret(url) }
}

function bodyOf({ body }: RequestOptions): { text: string | undefined; headers: Record<string, string> } {
  if (body === undefined) return { text: undefined, headers: {} }
  return { text: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
}

function wantsNonce(response: Response): boolean {
  return /\berror="use_dpop_nonce"/.test(response.headers.get('www-authenticate') ?? '')
}

/** A path of this server and nothing else: the token must not follow an absolute URL elsewhere. */
function targetOf(baseUrl: string, path: string): URL {
  const url = new URL(path, baseUrl)
  if (!path.startsWith('/') || url.origin !== baseUrl) throw unexpected('path')
  return url
}

async function read(response: Response): Promise<unknown> {
  if (!response.ok) throw await errorOf(response)
  const text = await response.text()
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    throw unexpected('no JSON', response.status)
  }
}
