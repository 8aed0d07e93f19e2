import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Log } from '../core/index.ts'
import { refusalOf, sendRefusal, wantsJson } from './answers.ts'
import { errorPage } from './page.ts'

const INTERACTION = /^\/oauth\/interaction\/([\w-]{1,128})$/

/** Sends each request below /oauth/ to the sign-in page or to the provider. */
export function createOAuthHandler(o: {
  provider: () => (req: IncomingMessage, res: ServerResponse) => Promise<void>
  issuer: () => string
  interaction: () => (req: IncomingMessage, res: ServerResponse, uid: string) => Promise<void>
  /** @throws AppError rate_limited */
  spendToBegin: (req: IncomingMessage) => void
  log: Log
}): (req: IncomingMessage, res: ServerResponse) => void {
  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    pinToPublicUrl(req, o.issuer())
    res.setHeader('x-content-type-options', 'nosniff')
    const [path = ''] = (req.url ?? '').split('?')
    const uid = INTERACTION.exec(path)?.[1]
    if (uid !== undefined && (req.method === 'GET' || req.method === 'POST')) {
      await o.interaction()(req, res, uid)
    } else {
      if (path === '/oauth/auth') o.spendToBegin(req)
      await o.provider()(req, res)
    }
  }
  return (req, res) => {
    handle(req, res).catch((error) => {
      const refusal = refusalOf(error)
      if (!refusal.code) o.log.error('an OAuth request failed', { error })
      if (res.headersSent) res.end()
      else sendRefusal(res, refusal, wantsJson(req) ? undefined : errorPage(refusal.code ? 'busy' : 'failed'))
    })
  }
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
