import type { IncomingMessage, ServerResponse } from 'node:http'
import type Provider from 'oidc-provider'
import { errors } from 'oidc-provider'
import {
  type AccountId,
  AppError,
  type ErrorCode,
  isAppError,
  type Log,
  Personal,
  Secret,
} from '../core/index.ts'
import { clientOf } from './clients.ts'
import { readCredentials } from './credentials-body.ts'
import { errorPage, type Page, signInPage } from './page.ts'
import type { SignIn } from './sign-in.ts'

export interface InteractionOptions {
  provider: Provider
  signIn: SignIn
  issuer: string
  remoteAddress: (req: IncomingMessage) => string | undefined
  log: Log
}

type Details = Awaited<ReturnType<Provider['interactionDetails']>>

const statuses: Partial<Record<ErrorCode, number>> = {
  invalid_request: 400,
  sign_in_refused: 401,
  too_large: 413,
  rate_limited: 429,
  unavailable: 503,
}

/**
 * GET and POST /oauth/interaction/:uid, where a person proves who they are. One address for people (an HTML form)
 * and for first-party programs (`Accept: application/json`).
 */
export function createInteraction(o: InteractionOptions) {
  return async (req: IncomingMessage, res: ServerResponse, uid: string): Promise<void> => {
    const json = wantsJson(req)
    let details: Details | undefined
    let email: string | undefined
    try {
      details = await pending(o.provider, req, res, uid)
      if (req.method === 'GET') return sendForm(res, details, {})
      checkOrigin(req, o.issuer)
      const credentials = await readCredentials(req)
      email = credentials.email
      const accountId = await o.signIn({
        kind: kindOf(details),
        email: new Personal(credentials.email),
        password: new Secret(credentials.password),
        remoteAddress: o.remoteAddress(req),
      })
      await finish(o.provider, req, res, details, accountId, json)
    } catch (caught) {
      const error = asAppError(caught)
      if (!statuses[error.code]) o.log.error('a sign-in failed', { error: caught })
      res.statusCode = statuses[error.code] ?? 500
      if (error.retryAfterSeconds) res.setHeader('retry-after', String(error.retryAfterSeconds))
      if (json) sendProblem(res, error)
      else if (details && statuses[error.code]) sendForm(res, details, { email, problem: problemText(error) })
      else sendPage(res, errorPage(statuses[error.code] ? 'expired' : 'failed'))
    }
  }
}

/** The authorization request that waits for this sign-in: named by the signed cookie, and the URL must agree. */
async function pending(
  provider: Provider,
  req: IncomingMessage,
  res: ServerResponse,
  uid: string,
): Promise<Details> {
  const details = await provider.interactionDetails(req, res)
  if (details.uid !== uid || !clientOf(details.params.client_id))
    throw new errors.SessionNotFound('not this one')
  return details
}

function kindOf(details: Details) {
  const client = clientOf(details.params.client_id)
  if (!client) throw new AppError('invalid_request')
  return client.kind
}

/**
 * Sign-in CSRF: another site must not be able to sign a browser in. The interaction's cookie is SameSite=Lax, and a
 * form must come from our own page. A program sends JSON, which no foreign page can send without being asked first.
 */
function checkOrigin(req: IncomingMessage, issuer: string): void {
  const own = req.headers.origin === new URL(issuer).origin
  const program = req.headers.origin === undefined && isJson(req.headers['content-type'])
  if (!own && !program) {
    throw new AppError('invalid_request', { message: 'The form did not come from this page. Try again.' })
  }
}

async function finish(
  provider: Provider,
  req: IncomingMessage,
  res: ServerResponse,
  details: Details,
  accountId: AccountId,
  json: boolean,
): Promise<void> {
  if (details.session && details.session.accountId !== accountId) {
    // Someone else was signed in with this browser: that session ends here, and this sign-in does not hang on it.
    const former = details.session.uid ? await provider.Session.findByUid(details.session.uid) : undefined
    await former?.destroy()
    delete details.session
    await details.persist()
  }
  const result = { login: { accountId, amr: ['pwd'], remember: false } }
  const redirectTo = await provider.interactionResult(req, res, result, { mergeWithLastSubmission: false })
  res.setHeader('cache-control', 'no-store')
  if (json) {
    res.statusCode = 200
    res.setHeader('content-type', 'application/json')
    res.end(JSON.stringify({ redirectTo }))
  } else {
    res.statusCode = 303
    res.setHeader('location', redirectTo)
    res.end()
  }
}

function sendForm(
  res: ServerResponse,
  details: Details,
  shown: { email?: string | undefined; problem?: string },
) {
  sendPage(
    res,
    signInPage({
      action: `/oauth/interaction/${details.uid}`,
      clientTitle: clientOf(details.params.client_id)?.title ?? 'Hearthlock',
      redirectOrigin: new URL(String(details.params.redirect_uri)).origin,
      ...shown,
    }),
  )
}

function sendPage(res: ServerResponse, page: Page): void {
  for (const [name, value] of Object.entries(page.headers)) res.setHeader(name, value)
  res.end(page.html)
}

/** RFC 9457, as everywhere under /v1. */
function sendProblem(res: ServerResponse, error: AppError): void {
  res.setHeader('content-type', 'application/problem+json')
  res.setHeader('cache-control', 'no-store')
  const { code, message: title } = error
  res.end(JSON.stringify({ type: `urn:hearthlock:error:${code}`, title, status: res.statusCode, code }))
}

function asAppError(caught: unknown): AppError {
  if (isAppError(caught)) return caught
  if (caught instanceof errors.SessionNotFound) {
    return new AppError('invalid_request', {
      message: 'This sign-in has expired. Start again.',
      cause: caught,
    })
  }
  return new AppError('integrity_failed', { message: 'Something went wrong.', cause: caught })
}

function problemText(error: AppError): string {
  const wait = error.retryAfterSeconds
  return wait ? `${error.message} You can try again in ${inWords(wait)}.` : error.message
}

function inWords(seconds: number): string {
  return seconds < 90 ? `${seconds} seconds` : `${Math.ceil(seconds / 60)} minutes`
}

function wantsJson(req: IncomingMessage): boolean {
  const accept = req.headers.accept ?? ''
  return accept.includes('application/json') && !accept.includes('text/html')
}

function isJson(contentType: string | undefined): boolean {
  return /^application\/json(;|$)/i.test(contentType ?? '')
}
