import type { IncomingMessage, ServerResponse } from 'node:http'
import type Provider from 'oidc-provider'
import type { Log } from '../core/index.ts'

const INTERACTION = /^\/oauth\/interaction\/([\w-]{1,128})$/

/** Sends each request below /oauth/ to the sign-in page or to the provider. */
export function createOAuthHandler(o: {
  provider: () => Provider
  issuer: () => string
  interaction: () => (req: IncomingMessage, res: ServerResponse, uid: string) => Promise<void>
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
      await o.provider().callback()(req, res)
    }
  }
  return (req, res) => {
    handle(req, res).catch((error) => {
      o.log.error('an OAuth request failed', { error })
      if (!res.headersSent) res.statusCode = 500
      res.end()
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
