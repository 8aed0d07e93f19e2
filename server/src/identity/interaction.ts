import type { IncomingMessage, ServerResponse } from 'node:http'
import type Provider from 'oidc-provider'
import { errors } from 'oidc-provider'
import { AppError, type Clock, type Log, Personal, Secret } from '../core/index.ts'
import { problemText, refusalOf, sendJson, sendPage, sendRefusal, wantsJson } from './answers.ts'
import { clientOf } from './clients.ts'
import { ownOrigin } from './own-origin.ts'
import { errorPage, type Page } from './page.ts'
import { passkeyOfferPage } from './passkey-page.ts'
import { PASSKEY_PAGE, type PasskeyRegistration } from './passkey-registration.ts'
import type { PasskeySignIn } from './passkey-sign-in.ts'
import { RECOVERY_PAGE } from './recovery-http.ts'
import { readFields } from './request-body.ts'
import { secondFactorPage } from './second-factor-page.ts'
import type { SecondStep } from './second-step.ts'
import type { SignedIn, SignIn } from './sign-in.ts'
import { signInPage } from './sign-in-page.ts'

export interface InteractionOptions {
  provider: Provider
  signIn: SignIn
  passkeySignIn: PasskeySignIn
  secondStep: SecondStep
  registration: PasskeyRegistration
  hasPasskey(accountId: SignedIn['accountId']): Promise<boolean>
  issuer: string
  clock: Clock
  log: Log
}

type Details = Awaited<ReturnType<Provider['interactionDetails']>>

/** What was asked below /oauth/interaction/: `passkey` when for the options of a ceremony. */
export interface InteractionRequest {
  uid: string
  passkey: boolean
  remoteAddress: string | undefined
}

/**
 * GET and POST /oauth/interaction/:uid, where a person proves who they are. One address for people (an HTML form and
 * our script) and for first-party programs (`Accept: application/json`).
 */
export function createInteraction(o: InteractionOptions) {
  return async (req: IncomingMessage, res: ServerResponse, asked: InteractionRequest): Promise<void> => {
    const json = wantsJson(req)
    let details: Details | undefined
    let email: string | undefined
    try {
      details = await pending(o.provider, req, res, asked.uid)
      if (req.method === 'GET') {
        sendPage(res, formPage(details, {}))
        return
      }
      if (!ownOrigin(req, o.issuer)) {
        throw new AppError('invalid_request', { message: 'The form did not come from this page. Try again.' })
      }
      if (asked.passkey) {
        sendJson(res, await o.passkeySignIn.options(details.uid))
        return
      }
      const beganAtMs = o.clock.nowMs()
      const fields = await readFields(req)
      if (typeof fields.email === 'string') email = fields.email
      const signedIn =
        typeof fields.code === 'string'
          ? await o.secondStep.finish(details.uid, new Secret(fields.code), asked.remoteAddress)
          : await o.secondStep.after(details.uid, {
              ...(await proven(o, details, fields, asked.remoteAddress)),
              beganAtMs,
            })
      await finish(o, req, res, details, signedIn, json)
    } catch (caught) {
      const refusal = refusalOf(caught)
      if (!refusal.code) o.log.error('a sign-in failed', { error: caught })
      const shown = { email, problem: problemText(refusal) }
      const wantsCode = details && (await o.secondStep.waits(details.uid))
      const page =
        details && refusal.code
          ? formPage(details, shown, wantsCode)
          : errorPage(refusal.code ? 'expired' : 'failed')
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

/** By a passkey, or by e-mail address and password. */
async function proven(
  o: InteractionOptions,
  details: Details,
  { passkey, email, password }: Record<string, unknown>,
  remoteAddress: string | undefined,
): Promise<SignedIn> {
  const kind = kindOf(details)
  if (passkey !== undefined) {
    return await o.passkeySignIn.signIn({ interaction: details.uid, kind, response: passkey, remoteAddress })
  }
  if (typeof email !== 'string' || typeof password !== 'string' || !email || !password) {
    throw new AppError('invalid_request', { message: 'Fill in the e-mail address and the password.' })
  }
  return await o.signIn({ kind, email: new Personal(email), password: new Secret(password), remoteAddress })
}

async function finish(
  o: InteractionOptions,
  req: IncomingMessage,
  res: ServerResponse,
  details: Details,
  { accountId, methods, beganAtMs, passkeySinceMs }: SignedIn & { beganAtMs: number },
  json: boolean,
): Promise<void> {
  const { provider } = o
  if (details.session && details.session.accountId !== accountId) {
    // Someone else was signed in with this browser: that session ends here, and this sign-in does not hang on it.
    const former = details.session.uid ? await provider.Session.findByUid(details.session.uid) : undefined
    await former?.destroy()
    delete details.session
    await details.persist()
  }
  const ts = Math.floor(o.clock.nowMs() / 1000)
  const login = { accountId, amr: [...methods], ts, remember: false }
  const result = { login, beganAtMs, passkeySinceMs }
  const redirectTo = await provider.interactionResult(req, res, result, { mergeWithLastSubmission: false })
  if (json) {
    sendJson(res, { redirectTo })
    return
  }
  if (methods.includes('pwd') && !(await o.hasPasskey(accountId))) {
    const { url } = await o.registration.link({
      for: 'account',
      accountId,
      madeAtMs: beganAtMs,
    })
    const ticket = new URL(url.reveal()).hash.slice(1)
    sendPage(res, passkeyOfferPage({ url: PASSKEY_PAGE, ticket, continueTo: redirectTo }))
    return
  }
  res.statusCode = 303
  res.setHeader('cache-control', 'no-store')
  res.setHeader('location', redirectTo)
  res.end()
}

function formPage(
  details: Details,
  shown: { email?: string | undefined; problem?: string },
  wantsCode = false,
): Page {
  const action = `/oauth/interaction/${details.uid}`
  const redirectOrigin = new URL(String(details.params.redirect_uri)).origin
  if (wantsCode) return secondFactorPage({ action, redirectOrigin, ...shown })
  return signInPage({
    action,
    clientTitle: clientOf(details.params.client_id)?.title ?? 'Hearthlock',
    passkeyOnly: kindOf(details) === 'operator',
    recoveryUrl: RECOVERY_PAGE,
    redirectOrigin,
    ...shown,
  })
}
