import type { FastifyRequest } from 'fastify'
import type { Principal } from '../identity/index.ts'

const PRINCIPAL = Symbol('principal')
type WithPrincipal = FastifyRequest & { [PRINCIPAL]?: Principal }

export function setPrincipal(request: FastifyRequest, principal: Principal): void {
  ;(request as WithPrincipal)[PRINCIPAL] = principal
}

/** Undefined where nobody was authenticated, or not yet. */
export function principalIn(request: FastifyRequest): Principal | undefined {
  return (request as WithPrincipal)[PRINCIPAL]
}

/** Whoever authenticated this request. Throws where a route forgot to: deny by default. */
export function principalOf(request: FastifyRequest): Principal {
  const principal = (request as WithPrincipal)[PRINCIPAL]
  if (!principal) throw new Error('this route has not authenticated its caller')
  return principal
}
