import type { FastifyRequest } from 'fastify'
import { AppError } from '../core/index.ts'
import type { Identity } from '../identity/index.ts'
import type { App } from './app.ts'
import { principalIn } from './principal.ts'
import { PROBLEM_TYPE, problemOf } from './problems.ts'

const kept = new WeakSet<FastifyRequest>()

/** Whoever makes a reset is answered, though it reaches themselves. */
export function keepAnswer(request: FastifyRequest): void {
  kept.add(request)
}

/** An answer that was being made when a reset made its token void does not leave. `newest`: the epoch that was heard of last. */
export function refuseAfterReset(app: App, identity: Pick<Identity, 'resets'>, newest: () => number): void {
  app.addHook('onSend', async (request, reply, payload) => {
    const principal = principalIn(request)
    if (!principal || principal.epoch >= newest() || kept.has(request)) return payload
    if (await identity.resets.isCurrent(principal)) return payload
    if (
      typeof payload === 'object' &&
      payload !== null &&
      'destroy' in payload &&
      !Buffer.isBuffer(payload)
    ) {
      ;(payload as { destroy(): void }).destroy()
    }
    const problem = problemOf(
      new AppError('unauthenticated', { detail: 'a reset came while it was answered' }),
    )
    void reply.code(problem.status).type(PROBLEM_TYPE).removeHeader('content-length').removeHeader('location')
    return JSON.stringify(problem)
  })
}
