import type { FastifyRequest } from 'fastify'
import { AppError, type Lease } from '../core/index.ts'
import type { App } from './app.ts'
import { PROBLEM_TYPE, problemOf } from './problems.ts'

const HEALTH = new Set(['/healthz', '/readyz'])
const RETRY_AFTER_SECONDS = 3

/**
 * A process that does not hear of changes refuses: neither does it begin to answer, nor does an answer leave it that
 * was made of what it knew before. Live streams are ended by `home`.
 */
export function refuseWithoutLease(app: App, lease: Pick<Lease, 'holds' | 'term'>): void {
  const terms = new WeakMap<FastifyRequest, number>()

  app.addHook('onRequest', async (request) => {
    if (HEALTH.has(request.routeOptions.url ?? '')) return
    if (!lease.holds()) throw unavailable()
    terms.set(request, lease.term)
  })

  app.addHook('onSend', async (request, reply, payload) => {
    const term = terms.get(request)
    if (term === undefined || (lease.holds() && lease.term === term)) return payload
    if (isStream(payload)) payload.destroy()
    const problem = problemOf(unavailable())
    void reply
      .code(problem.status)
      .type(PROBLEM_TYPE)
      .header('retry-after', RETRY_AFTER_SECONDS)
      .removeHeader('content-length')
      .removeHeader('location')
    return JSON.stringify(problem)
  })
}

function unavailable(): AppError {
  return new AppError('unavailable', { retryAfterSeconds: RETRY_AFTER_SECONDS, detail: 'the lease ran out' })
}

function isStream(payload: unknown): payload is { destroy(): void } {
  return typeof payload === 'object' && payload !== null && 'destroy' in payload && !Buffer.isBuffer(payload)
}
