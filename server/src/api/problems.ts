import { randomUUID } from 'node:crypto'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { AppError, type ErrorCode, errorCatalogue, isAppError, type Log } from '../core/index.ts'
import { dpopAlgorithms } from '../identity/index.ts'

/** The one place where codes meet HTTP. docs/errors.md shows the same table to people. */
export const statusOfCode: Record<ErrorCode, number> = {
  claim_refused: 422,
  code_refused: 422,
  command_refused: 422,
  conflict: 409,
  copy_refused: 422,
  database_newer: 503,
  destination_refused: 422,
  fresh_sign_in_needed: 403,
  held_back: 403,
  idempotency_mismatch: 422,
  integrity_failed: 500,
  internal: 500,
  invalid_request: 400,
  model_invalid: 422,
  not_found: 404,
  payload_refused: 422,
  rate_limited: 429,
  root_key_refused: 503,
  second_factor_needed: 422,
  sign_in_refused: 401,
  stale_tenure: 404,
  start_refused: 503,
  too_large: 413,
  unauthenticated: 401,
  unavailable: 503,
  unsupported_media_type: 415,
  use_dpop_nonce: 401,
}

/**
 * Codes that say more to an outsider than "nothing here". A tenure that ended and a device that never was must
 * look the same, or a former owner learns that the device has a new one.
 */
const shownAs: Partial<Record<ErrorCode, ErrorCode>> = { stale_tenure: 'not_found' }

/** Problem details, RFC 9457. `instance` is the number under which the log has an unexpected error. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: 'urn:hearthlock:error: and the code' }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String(),
    detail: Type.Optional(Type.String()),
    instance: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
)
export type Problem = Type.Static<typeof Problem>

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8'

export function problemOf(error: AppError): Problem {
  const code = shownAs[error.code] ?? error.code
  const title = errorCatalogue[code]
  const problem: Problem = { type: `urn:hearthlock:error:${code}`, title, status: statusOfCode[code], code }
  // A room's own sentence is as safe to show as the catalogue's; `error.detail` is for the log only.
  if (code === error.code && error.message !== title) problem.detail = error.message
  return problem
}

/** Every refusal and failure leaves through here, in one form. */
export function answerWithProblems(app: FastifyInstance, log: Log): void {
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, new AppError('not_found')))
  app.setErrorHandler((error, request, reply) => {
    const known = asAppError(error)
    if (known) {
      if (statusOfCode[known.code] >= 500) logProblem(log, request, known)
      return sendProblem(reply, known)
    }
    const instance = logProblem(log, request, error)
    return sendProblem(reply, new AppError('internal'), instance)
  })
}

function logProblem(log: Log, request: FastifyRequest, error: unknown): string {
  const instance = randomUUID()
  log.error('a request failed', {
    instance,
    method: request.method,
    route: request.routeOptions.url,
    error,
  })
  return instance
}

function sendProblem(reply: FastifyReply, error: AppError, instance?: string): FastifyReply {
  const problem = problemOf(error)
  if (instance) problem.instance = `urn:uuid:${instance}`
  if (error.retryAfterSeconds !== undefined)
    reply.header('retry-after', Math.max(1, Math.ceil(error.retryAfterSeconds)))
  // RFC 9449 section 7.1: how to authenticate, and that the token (if there was one) was no good.
  if (problem.status === 401) reply.header('www-authenticate', challengeFor(reply.request, problem.code))
  return reply
    .code(problem.status)
    .type(PROBLEM_TYPE)
    .serializer((body: string) => body)
    .send(JSON.stringify(problem))
}

function challengeFor(request: FastifyRequest, code: string): string {
  const algorithms = `algs="${dpopAlgorithms}"`
  // RFC 9449 section 9: the same request, with a proof that has the nonce.
  if (code === 'use_dpop_nonce') return `DPoP error="use_dpop_nonce", ${algorithms}`
  return request.headers.authorization ? `DPoP error="invalid_token", ${algorithms}` : `DPoP ${algorithms}`
}

/** Fastify's own refusals in our words; undefined for what nobody foresaw. */
function asAppError(error: unknown): AppError | undefined {
  if (isAppError(error)) return error
  const { code, statusCode, validation } = error as Partial<FastifyError>
  if (validation) return new AppError('invalid_request', { message: (error as Error).message })
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE' || statusCode === 413) return new AppError('too_large')
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return new AppError('unsupported_media_type')
  if (code === 'FST_ERR_HANDLER_TIMEOUT') return new AppError('unavailable', { retryAfterSeconds: 5 })
  if (statusCode === 404) return new AppError('not_found')
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new AppError('invalid_request')
  return undefined
}
