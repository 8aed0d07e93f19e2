import type { IncomingMessage, ServerResponse } from 'node:http'
import { AppError, type ErrorCode, type Log } from '../core/index.ts'
import { refusalOf, sendRefusal, wantsJson } from './answers.ts'
import type { Callers } from './callers.ts'
import type { Identity } from './face.ts'
import type { createInteraction } from './interaction.ts'
import { errorPage } from './page.ts'
import type { createPasskeyDoor } from './passkey-http.ts'
import { type createRecoveryDoor, RECOVERY_PAGE } from './recovery-http.ts'

const INTERACTION = /^\/oauth\/interaction\/([\w-]{1,128})(\/passkey)?$/
const PASSKEYS = /^\/oauth\/passkeys(\/options)?$/
const BEGIN = '/oauth/auth'
/** Where the provider is asked, letter by letter. */
const PROVIDER = /^\/(oauth\/(auth|auth\/[\w-]{1,128}|token|jwks|revoke)|\.well-known\/openid-configuration)$/

/** Sends each request below /oauth/ to the sign-in page, to where passkeys are made, or to the provider. */
export function createOAuthHandler(o: {
  provider: () => (req: IncomingMessage, res: ServerResponse) => Promise<void>
  issuer: () => string
  interaction: () => ReturnType<typeof createInteraction>
  passkeyDoor: () => ReturnType<typeof createPasskeyDoor>
  recoveryDoor: () => ReturnType<typeof createRecoveryDoor>
  callers: Callers
  /** @throws AppError rate_limited */
  spendToBegin: (remoteAddress: string | undefined) => void
  log: Log
}): Identity['handleOAuth'] {
  async function handle(
    req: IncomingMessage,
    res: ServerResponse,
    remoteAddress: string | undefined,
  ): Promise<void> {
    pinToPublicUrl(req, o.issuer())
    o.callers.note(req, remoteAddress)
    res.setHeader('x-content-type-options', 'nosniff')
    const [path = ''] = (req.url ?? '').split('?')
    const [, uid, ceremony] = INTERACTION.exec(path) ?? []
    if (uid !== undefined && (req.method === 'POST' || (req.method === 'GET' && !ceremony))) {
      await o.interaction()(req, res, { uid, passkey: ceremony !== undefined, remoteAddress })
    } else if (path === RECOVERY_PAGE) {
      await o.recoveryDoor()(req, res, remoteAddress)
    } else if (PASSKEYS.test(path)) {
      await o.passkeyDoor()(req, res, path)
    } else {
      // The provider's router also takes other spellings (case, a trailing slash, an absolute target), which would
      // get around what is spent here.
      if (!PROVIDER.test(path)) throw new AppError('not_found')
      if (path === BEGIN) o.spendToBegin(remoteAddress)
      await o.provider()(req, res)
    }
  }
  return (req, res, from = { remoteAddress: req.socket.remoteAddress }) => {
    handle(req, res, from.remoteAddress).catch((error) => {
      const refusal = refusalOf(error)
      if (!refusal.code) o.log.error('an OAuth request failed', { error })
      if (res.headersSent) res.end()
      else sendRefusal(res, refusal, wantsJson(req) ? undefined : errorPage(pageFor(refusal.code)))
    })
  }
}

function pageFor(code: ErrorCode | undefined) {
  if (code === undefined) return 'failed'
  return code === 'not_found' ? 'refused' : 'busy'
}

/**
 * oidc-provider builds redirects, cookies and the `htu` it expects from the request's own host. Whoever sends the
 * request chooses that, so the public URL is put in its place.
 */
function pinToPublicUrl(req: IncomingMessage, issuer: string): void {
  const { host, protocol } = new URL(issuer)
  req.headers.host = host
  req.headers['x-forwarded-host'] = host
  req.headers['x-forwarded-proto'] = protocol.slice(0, -1)
}
