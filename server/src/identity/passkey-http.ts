import type { IncomingMessage, ServerResponse } from 'node:http'
import { AppError, Personal, Secret } from '../core/index.ts'
import { sendJson, sendPage } from './answers.ts'
import { ownOrigin } from './own-origin.ts'
import { passkeyPage } from './passkey-page.ts'
import { PASSKEY_PAGE, type PasskeyRegistration } from './passkey-registration.ts'
import { readJsonFields } from './request-body.ts'

/** GET the page; POST …/options, then the passkey that was made: by the page's script, or by a program. */
export function createPasskeyDoor(o: { registration: PasskeyRegistration; issuer: string }) {
  return async (req: IncomingMessage, res: ServerResponse, path: string): Promise<void> => {
    if (req.method === 'GET' && path === PASSKEY_PAGE) {
      sendPage(res, passkeyPage(PASSKEY_PAGE))
      return
    }
    if (req.method !== 'POST') throw new AppError('not_found')
    if (!ownOrigin(req, o.issuer)) throw new AppError('invalid_request')
    const { ticket: given, passkey: response, name } = await readJsonFields(req)
    if (typeof given !== 'string') throw new AppError('invalid_request')
    const ticket = new Secret(given)
    if (path !== PASSKEY_PAGE) {
      sendJson(res, await o.registration.options(ticket))
      return
    }
    await o.registration.complete({
      ticket,
      response,
      name: typeof name === 'string' ? new Personal(name) : undefined,
    })
    sendJson(res, {})
  }
}
