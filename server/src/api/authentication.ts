import type { FastifyRequest, onRequestAsyncHookHandler, preHandlerAsyncHookHandler } from 'fastify'
import { AppError, type Clock } from '../core/index.ts'
import type { Identity, Principal } from '../identity/index.ts'
import { principalOf, setPrincipal } from './principal.ts'
import type { RateLimits } from './rate-limits.ts'

/**
 * First step of each route's list. The wrong kind of caller is answered as if nothing were there: operators have
 * no way to a customer's routes, nor customers to theirs. `customerOrSupport` is for what is done on one device: there a
 * support operator is let through to the room, which lets act only whom the device's own household let in.
 */
export interface Authenticate {
  customer: onRequestAsyncHookHandler
  customerOrSupport: onRequestAsyncHookHandler
  operator: onRequestAsyncHookHandler
  anybody: onRequestAsyncHookHandler
}

export function createAuthenticate(o: {
  identity: Pick<Identity, 'authenticate' | 'dpopNonce'>
  refusedTokens: RateLimits['refusedTokens']
  /** Where callers find this server: the proof's `htu` must be this URL, whatever the Host header says. */
  publicUrl: () => string
}): Authenticate {
  async function authenticated(request: FastifyRequest): Promise<Principal> {
    const { authorization, dpop } = request.headers
    if (authorization === undefined) throw new AppError('unauthenticated')
    // RFC 9449 section 4.3: htu is the target without query and fragment.
    const url = o.publicUrl() + (request.raw.url ?? '/').split('?', 1)[0]
    return await o.refusedTokens.counting(request, () =>
      o.identity.authenticate({
        method: request.method,
        url,
        authorization,
        dpop,
        remoteAddress: request.ip,
      }),
    )
  }
  function step(accepts: (principal: Principal) => boolean): onRequestAsyncHookHandler {
    return async function (request, reply) {
      await o.refusedTokens.check.call(this, request, reply)
      // With every answer, so that who comes often is never sent back for one.
      reply.header('dpop-nonce', o.identity.dpopNonce())
      const principal = await authenticated(request)
      if (!accepts(principal)) throw new AppError('not_found')
      setPrincipal(request, principal)
    }
  }
  return {
    customer: step(({ kind }) => kind === 'customer'),
    customerOrSupport: step(({ kind, roles }) => kind === 'customer' || roles.includes('support')),
    operator: step(({ kind }) => kind === 'operator'),
    anybody: step(() => true),
  }
}

/** An operator needs one of these roles; without it the route is not there. */
export function role(...needed: Principal['roles']): preHandlerAsyncHookHandler {
  return async (request) => {
    const { roles } = principalOf(request)
    if (!needed.some((each) => roles.includes(each))) throw new AppError('not_found')
  }
}

/** What changes who can come in asks for a sign-in of the last ten minutes: a phone left lying open is not enough. */
const FRESH_SECONDS = 10 * 60

/** Stands behind authentication. @throws AppError fresh_sign_in_needed */
export function freshSignIn(clock: Clock): preHandlerAsyncHookHandler {
  return async (request) => {
    if (!isFresh(principalOf(request), clock)) throw new AppError('fresh_sign_in_needed')
  }
}

export function isFresh({ signedInAtMs }: Pick<Principal, 'signedInAtMs'>, clock: Clock): boolean {
  return clock.nowMs() - signedInAtMs <= FRESH_SECONDS * 1000
}

/** After a recovery, what could not be undone waits. @throws AppError held_back */
export function notHeldBack(identity: Pick<Identity, 'isHeldBack'>): preHandlerAsyncHookHandler {
  return async (request) => {
    if (await identity.isHeldBack(principalOf(request))) throw new AppError('held_back')
  }
}

/**
 * Where a route's list says so, the room that acts is also the one that authorizes: it takes the caller's account
 * and answers not_found for what that account may not see. Check and act are one step there, so that a tenure
 * which ends in between leaves no gap.
 */
export const byRoom: preHandlerAsyncHookHandler = async (request) => {
  principalOf(request)
}
