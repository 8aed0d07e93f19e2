import rateLimit, { type RateLimitOptions } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import { AppError, type ErrorCode, isAppError, network } from '../core/index.ts'
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
  commands: Hook
  refusedTokens: Refusals
  refusedClaims: Refusals
  /** Codes of invitations, and those that support says. */
  refusedCodes: Refusals
  /** Letters to addresses that somebody typed. */
  invitationLetters: Hook
  exports: Hook
}

/** Bounds guessing without bounding honest use: only what was refused counts. */
export interface Refusals {
  /** A step in a route's list: refuses whoever has been refused too often. */
  check: Hook
  /** Does the work, and counts its refusal. */
  counting<T>(request: FastifyRequest, work: () => Promise<T>): Promise<T>
}

export async function createRateLimits(app: FastifyInstance, limits: ApiLimits): Promise<RateLimits> {
  await app.register(rateLimit, { global: false })
  // Whoever has one address of an IPv6 network has them all.
  const ofNetwork: RateLimitOptions = { keyGenerator: (request) => network(request.ip) }
  const limiter = (max: number, timeWindow: number, more: RateLimitOptions = {}) => {
    // How many addresses or accounts are remembered, the least recent forgotten first: a bound on our memory.
    const bounded: RateLimitOptions = { max, timeWindow, cache: 20_000, ...ofNetwork, ...more }
    return app.createRateLimit(bounded)
  }
  const ofAccount: RateLimitOptions = { keyGenerator: (request) => principalOf(request).accountId }
  const byAddress = (max: number, windowMs: number): Hook => refuse(limiter(max, windowMs))
  const byAccount = (max: number, windowMs: number): Hook => refuse(limiter(max, windowMs, ofAccount))
  return {
    perAddress: byAddress(limits.requestsPerMinutePerAddress, MINUTE_MS),
    perAccount: byAccount(limits.requestsPerMinutePerAccount, MINUTE_MS),
    signUps: byAddress(limits.signUpsPer10MinutesPerAddress, 10 * MINUTE_MS),
    signIns: byAddress(limits.signInsPerMinutePerAddress, MINUTE_MS),
    operatorEnrolments: byAddress(limits.operatorEnrolmentsPer10MinutesPerAddress, 10 * MINUTE_MS),
    commands: byAccount(limits.commandsPerMinutePerAccount, MINUTE_MS),
    refusedTokens: refusals('unauthenticated', [limiter(limits.refusedTokensPerMinutePerAddress, MINUTE_MS)]),
    // Bounded twice: one account may use many addresses, one address many accounts.
    refusedClaims: refusals('claim_refused', [
      limiter(limits.refusedClaimsPer10MinutesPerAddress, 10 * MINUTE_MS),
      limiter(limits.refusedClaimsPer10MinutesPerAccount, 10 * MINUTE_MS, ofAccount),
    ]),
    refusedCodes: refusals('code_refused', [
      limiter(limits.refusedCodesPer10MinutesPerAddress, 10 * MINUTE_MS),
      limiter(limits.refusedCodesPer10MinutesPerAccount, 10 * MINUTE_MS, ofAccount),
    ]),
    exports: byAccount(limits.exportsPerHourPerAccount, 60 * MINUTE_MS),
    invitationLetters: byAccount(limits.invitationLettersPerDayPerAccount, 24 * 60 * MINUTE_MS),
  }
}

type Limiter = ReturnType<FastifyInstance['createRateLimit']>

function refusals(code: ErrorCode, limiters: Limiter[]): Refusals {
  return {
    async check(request) {
      for (const limiter of limiters) {
        const state = await limiter(request, { increment: false })
        if (!state.isAllowed && state.remaining === 0) throw rateLimited(state.ttlInSeconds)
      }
    },
    async counting(request, work) {
      try {
        return await work()
      } catch (error) {
        if (isAppError(error, code)) for (const limiter of limiters) await limiter(request)
        throw error
      }
    },
  }
}

function refuse(limiter: Limiter): Hook {
  return async (request) => {
    const state = await limiter(request)
    if (!state.isAllowed && state.isExceeded) throw rateLimited(state.ttlInSeconds)
  }
}

function rateLimited(retryAfterSeconds: number): AppError {
  return new AppError('rate_limited', { retryAfterSeconds })
}
