import rateLimit, { type RateLimitOptions } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import { AppError } from '../core/index.ts'
import type { ApiLimits } from './limits.ts'
import { principalOf } from './principal.ts'

type Hook = onRequestAsyncHookHandler
const MINUTE_MS = 60_000

/** The limits by name, each a step in a route's list. Those per account stand behind authentication. */
export interface RateLimits {
  perAddress: Hook
  perAccount: Hook
  signUps: Hook
  signIns: Hook
  operatorEnrolments: Hook
  claims: Hook
  commands: Hook
  refusedTokens: { check: Hook; count(request: FastifyRequest): Promise<void> }
}

export async function createRateLimits(app: FastifyInstance, limits: ApiLimits): Promise<RateLimits> {
  await app.register(rateLimit, { global: false })
  const limiter = (max: number, timeWindow: number, more: RateLimitOptions = {}) => {
    // How many addresses or accounts are remembered, the least recent forgotten first: a bound on our memory.
    const bounded: RateLimitOptions = { max, timeWindow, cache: 20_000, ...more }
    return app.createRateLimit(bounded)
  }
  const byAddress = (max: number, windowMs: number): Hook => refuse(limiter(max, windowMs))
  const byAccount = (max: number, windowMs: number): Hook =>
    refuse(limiter(max, windowMs, { keyGenerator: (request) => principalOf(request).accountId }))
  const claimsOfAddress = byAddress(limits.claimsPer10MinutesPerAddress, 10 * MINUTE_MS)
  const claimsOfAccount = byAccount(limits.claimsPer10MinutesPerAccount, 10 * MINUTE_MS)
  const refusedTokens = limiter(limits.refusedTokensPerMinutePerAddress, MINUTE_MS)
  return {
    perAddress: byAddress(limits.requestsPerMinutePerAddress, MINUTE_MS),
    perAccount: byAccount(limits.requestsPerMinutePerAccount, MINUTE_MS),
    signUps: byAddress(limits.signUpsPer10MinutesPerAddress, 10 * MINUTE_MS),
    signIns: byAddress(limits.signInsPerMinutePerAddress, MINUTE_MS),
    operatorEnrolments: byAddress(limits.operatorEnrolmentsPer10MinutesPerAddress, 10 * MINUTE_MS),
    commands: byAccount(limits.commandsPerMinutePerAccount, MINUTE_MS),
    // Guessing is bounded twice: one account may use many addresses, one address many accounts.
    claims: async function (request, reply) {
      await claimsOfAddress.call(this, request, reply)
      await claimsOfAccount.call(this, request, reply)
    },
    refusedTokens: {
      check: async (request) => {
        const state = await refusedTokens(request, { increment: false })
        if (!state.isAllowed && state.remaining === 0) throw rateLimited(state.ttlInSeconds)
      },
      count: async (request) => {
        await refusedTokens(request)
      },
    },
  }
}

function refuse(limiter: ReturnType<FastifyInstance['createRateLimit']>): Hook {
  return async (request) => {
    const state = await limiter(request)
    if (!state.isAllowed && state.isExceeded) throw rateLimited(state.ttlInSeconds)
  }
}

function rateLimited(retryAfterSeconds: number): AppError {
  return new AppError('rate_limited', { retryAfterSeconds })
}
