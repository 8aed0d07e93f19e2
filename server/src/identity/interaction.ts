import type { IncomingMessage, ServerResponse } from 'node:http'
import type Provider from 'oidc-provider'
import { errors } from 'oidc-provider'
import { AppError, type Clock, type Log, Personal, Secret } from '../core/index.ts'
import { type Refusal, refusalOf, sendJson, sendPage, sendRefusal, wantsJson } from './answers.ts'
import { clientOf } from './clients.ts'
import { readCredentials } from './credentials-body.ts'
import { errorPage, type Page, signInPage } from './page.ts'
import type { SignedIn, SignIn } from './sign-in.ts'

export interface InteractionOptions {
  provider: Provider
  signIn: SignIn
  issuer: string
  clock: Clock
  log: Log
}

type Details = Awaited<ReturnType<Provider['interactionDetails']>>

/**
 * GET and POST /oauth/interaction/:uid, where a person proves who they are. One address for people (an HTML form)
 * and for first-party programs (`Accept: application/json`).
 */
export function createInteraction(o: InteractionOptions) {
  return async (
    req: IncomingMessage,
    res: ServerResponse,
    { uid, remoteAddress }: { uid: string; remoteAddress: string | undefined },
  ): Promise<void> => {
    const json = wantsJson(req)
    let details: Details | undefined
    let email: string | undefined
    try {
      details = await pending(o.provider, req, res, uid)
      if (req.method === 'GET') {
        sendPage(res, formPage(details, {}))
        return
      }
      checkOrigin(req, o.issuer)
      const credentials = await readCredentials(req)
      email = credentials.email
      const signedIn = await o.signIn({
        kind: kindOf(details),
        email: new Personal(credentials.email),
        password: new Secret(credentials.password),
        remoteAddress,
      })
      await finish(o, req, res, details, signedIn, json)
    } catch (caught) {
      const refusal = refusalOf(caught)
      if (!refusal.code) o.log.error('a sign-in failed', { error: caught })
      const shown = { email, problem: problemText(refusal) }
      const page =
        details && refusal.code ? formPage(details, shown) : errorPage(refusal.code ? 'expired' : 'failed')
      sendRefusal(res, refusal, json ? undefined : page)
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
  { provider, clock }: Pick<InteractionOptions, 'provider' | 'clock'>,
  req: IncomingMessage,
  res: ServerResponse,
  details: Details,
  { accountId, methods }: SignedIn,
  json: boolean,
): Promise<void> {
  if (details.session && details.session.accountId !== accountId) {
    // Someone else was signed in with this browser: that session ends here, and this sign-in does not hang on it.
    const former = details.session.uid ? await provider.Session.findByUid(details.session.uid) : undefined
    await former?.destroy()
    delete details.session
    await details.persist()
  }
  const ts = Math.floor(clock.nowMs() / 1000)
  const result = { login: { accountId, amr: [...methods], ts, remember: false } }
  const redirectTo = await provider.interactionResult(req, res, result, { mergeWithLastSubmission: false })
  if (json) {
    sendJson(res, { redirectTo })
    return
  }
  res.statusCode = 303
  res.setHeader('cache-control', 'no-store')
  res.setHeader('location', redirectTo)
  res.end()
}

function formPage(details: Details, shown: { email?: string | undefined; problem?: string }): Page {
  return signInPage({
    action: `/oauth/interaction/${details.uid}`,
    clientTitle: clientOf(details.params.client_id)?.title ?? 'Hearthlock',
    redirectOrigin: new URL(String(details.params.redirect_uri)).origin,
    ...shown,
  })
}

function problemText({ text, retryAfterSeconds }: Refusal): string {
  if (!retryAfterSeconds) return text
  const minutes = Math.ceil(retryAfterSeconds / 60)
  return `${text} You can try again in ${retryAfterSeconds < 90 ? `${retryAfterSeconds} seconds` : `${minutes} minutes`}.`
}

function isJson(contentType: string | undefined): boolean {
  return /^application\/json(;|$)/i.test(contentType ?? '')
}
