import swagger from '@fastify/swagger'
import type { FastifySchema } from 'fastify'
import type { App } from './app.ts'
import { Problem } from './problems.ts'

const problemAnswer = (description: string) => ({
  description,
  content: { 'application/problem+json': { schema: Problem } },
})

/** The OpenAPI 3.1 document, from the very schemas that validate. Register before the routes. */
export async function documentRoutes(app: App, serverUrl: () => string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Hearthlock',
        version: '1',
        description:
          'Sign in by the OpenID provider at /.well-known/openid-configuration (authorization code with PKCE). ' +
          'Access tokens are bound to a key of the client: each request carries a DPoP proof (RFC 9449).',
      },
      components: {
        securitySchemes: {
          dpop: {
            type: 'http',
            scheme: 'DPoP',
            description: 'RFC 9449; the proof goes into the DPoP header',
          },
        },
      },
    },
    transform: ({ schema, url }) => ({ schema: withProblems(schema as FastifySchema, isPublic(url)), url }),
  })
  app.get('/v1/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    reply.header('cache-control', 'public, max-age=60')
    return { ...app.swagger(), servers: [{ url: serverUrl() }] }
  })
}

function withProblems(schema: FastifySchema, open: boolean): FastifySchema {
  const response = (schema.response ?? {}) as Record<string, unknown>
  return {
    ...schema,
    ...(open ? {} : { security: [{ dpop: [] }] }),
    response: {
      ...response,
      '4xx': problemAnswer('The request was refused'),
      '5xx': problemAnswer('The server could not do it'),
    },
  }
}

const openUrls = new Set([
  '/v1/sign-up',
  '/v1/sign-up/confirm',
  '/v1/operators',
  '/v1/device-authority',
  '/healthz',
  '/readyz',
  '/v1/recovery',
  '/v1/recovery/complete',
])

function isPublic(url: string): boolean {
  return openUrls.has(url)
}
