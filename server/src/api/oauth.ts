import type { FastifyRequest } from 'fastify'
import type { RouteParts } from './app.ts'

const METHODS = ['GET', 'POST', 'OPTIONS'] as const

/**
 * The OpenID provider has its own parsing, answers and errors: requests are handed over as they came, with their
 * body unread. Only the limits per address stand before it.
 */
export function oauthRoutes({ app, limit, identity }: RouteParts): void {
  for (const url of ['/oauth/*', '/.well-known/openid-configuration']) {
    app.route({
      method: [...METHODS],
      url,
      schema: { hide: true },
      onRequest: [
        async function (request, reply) {
          if (postsSignIn(request)) await limit.signIns.call(this, request, reply)
        },
        async (request, reply) => {
          reply.hijack()
          for (const [name, value] of Object.entries(reply.getHeaders())) {
            if (value !== undefined) reply.raw.setHeader(name, value)
          }
          identity.handleOAuth(request.raw, reply.raw, { remoteAddress: request.ip })
        },
      ],
      handler: () => {},
    })
  }
}

function postsSignIn(request: FastifyRequest): boolean {
  // What comes after the ? is nobody's to choose a limit by.
  const [path = ''] = (request.raw.url ?? '').split('?')
  return request.method === 'POST' && /^\/oauth\/(interaction\/[^/]*|recovery)$/.test(path)
}
