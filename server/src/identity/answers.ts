import type { IncomingMessage, ServerResponse } from 'node:http'
import { errors } from 'oidc-provider'
import { type ErrorCode, isAppError } from '../core/index.ts'
import type { Page } from './page.ts'

/** What may be said of an error. `code` is missing when the fault is ours. */
export interface Refusal {
  status: number
  code?: ErrorCode
  text: string
  retryAfterSeconds?: number | undefined
}

const statuses: Partial<Record<ErrorCode, number>> = {
  invalid_request: 400,
  sign_in_refused: 401,
  not_found: 404,
  conflict: 409,
  code_refused: 422,
  too_large: 413,
  second_factor_needed: 422,
  rate_limited: 429,
  unavailable: 503,
}

export function refusalOf(caught: unknown): Refusal {
  const status = isAppError(caught) && statuses[caught.code]
  if (status) {
    const { code, message: text, retryAfterSeconds } = caught
    return { status, code, text, retryAfterSeconds }
  }
  if (caught instanceof errors.SessionNotFound) {
    return { status: 400, code: 'invalid_request', text: 'This sign-in has expired. Start again.' }
  }
  return { status: 500, text: 'Something went wrong.' }
}

/** For a person, with when to come back. */
export function problemText({ text, retryAfterSeconds }: Refusal): string {
  if (!retryAfterSeconds) return text
  const minutes = Math.ceil(retryAfterSeconds / 60)
  return `${text} You can try again in ${retryAfterSeconds < 90 ? `${retryAfterSeconds} seconds` : `${minutes} minutes`}.`
}

export function wantsJson(req: IncomingMessage): boolean {
  const accept = req.headers.accept ?? ''
  return accept.includes('application/json') && !accept.includes('text/html')
}

export function sendPage(res: ServerResponse, page: Page): void {
  for (const [name, value] of Object.entries(page.headers)) res.setHeader(name, value)
  res.end(page.html)
}

export function sendJson(res: ServerResponse, value: unknown, type = 'application/json'): void {
  res.setHeader('content-type', type)
  res.setHeader('cache-control', 'no-store')
  res.end(JSON.stringify(value))
}

/** RFC 9457, as everywhere under /v1; or the page, for a person. */
export function sendRefusal(res: ServerResponse, refusal: Refusal, page: Page | undefined): void {
  res.statusCode = refusal.status
  if (refusal.retryAfterSeconds) res.setHeader('retry-after', String(refusal.retryAfterSeconds))
  if (page) {
    sendPage(res, page)
    return
  }
  const { status, code, text: title } = refusal
  const problem = code ? { type: `urn:hearthlock:error:${code}`, title, status, code } : { title, status }
  sendJson(res, problem, 'application/problem+json')
}
