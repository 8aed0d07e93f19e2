import type { IncomingMessage, ServerResponse } from 'node:http'
import { AppError, type Log, Personal, Secret } from '../core/index.ts'
import type { AccountCare } from './account-face.ts'
import { problemText, refusalOf, sendPage, sendRefusal } from './answers.ts'
import { ownOrigin } from './own-origin.ts'
import { errorPage } from './page.ts'
import { askForCodePage, newPasswordPage, recoveredPage } from './recovery-page.ts'
import { readFields } from './request-body.ts'

/** Where "Forgot password" leads. Programs use /v1/recovery. */
export const RECOVERY_PAGE = '/oauth/recovery'

/** GET the first page; POST an address for a code, or an address with its code and a new password. */
export function createRecoveryDoor(o: {
  recovery: Pick<AccountCare, 'requestRecovery' | 'completeRecovery'>
  issuer: string
  log: Log
}) {
  return async (
    req: IncomingMessage,
    res: ServerResponse,
    remoteAddress: string | undefined,
  ): Promise<void> => {
    if (req.method === 'GET') {
      sendPage(res, askForCodePage({ action: RECOVERY_PAGE }))
      return
    }
    if (req.method !== 'POST') throw new AppError('not_found')
    if (!ownOrigin(req, o.issuer)) throw new AppError('invalid_request')
    const { email, code, newPassword, otp } = texts(await readFields(req))
    try {
      if (!email) throw new AppError('invalid_request', { message: 'Fill in the e-mail address.' })
      if (code === undefined) {
        await o.recovery.requestRecovery({ email: new Personal(email), remoteAddress })
        sendPage(res, newPasswordPage({ action: RECOVERY_PAGE, email }))
        return
      }
      await o.recovery.completeRecovery({
        email: new Personal(email),
        code: new Secret(code),
        newPassword: new Secret(newPassword ?? ''),
        otp: otp ? new Secret(otp) : undefined,
        remoteAddress,
      })
      sendPage(res, recoveredPage())
    } catch (caught) {
      const refusal = refusalOf(caught)
      if (!refusal.code) {
        o.log.error('a recovery failed', { error: caught })
        sendRefusal(res, refusal, errorPage('failed'))
        return
      }
      const shown = { action: RECOVERY_PAGE, problem: problemText(refusal) }
      const page =
        email && code !== undefined
          ? newPasswordPage({ ...shown, email })
          : askForCodePage({ ...shown, email })
      sendRefusal(res, refusal, page)
    }
  }
}

function texts(fields: Record<string, unknown>): Record<string, string | undefined> {
  const given = Object.entries(fields).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  )
  return Object.fromEntries(given)
}
