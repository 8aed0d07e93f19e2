import type { IncomingMessage } from 'node:http'
import { isJson } from './request-body.ts'

/**
 * Sign-in CSRF: another site must not be able to sign a browser in. The interaction's cookie is SameSite=Lax, and a
 * form must come from our own page. A program sends JSON, which no foreign page can send without being asked first.
 */
export function ownOrigin(req: IncomingMessage, issuer: string): boolean {
  const own = req.headers.origin === new URL(issuer).origin
  const program = req.headers.origin === undefined && isJson(req)
  return own || program
}
