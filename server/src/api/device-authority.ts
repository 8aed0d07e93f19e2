import Type from 'typebox'
import type { RouteParts } from './app.ts'
import { strict } from './shapes.ts'

/** Public: devices, and the programs that stand in for them, check the MQTT listener against it. */
export function deviceAuthorityRoutes({ app, registry }: RouteParts): void {
  app.get(
    '/v1/device-authority',
    {
      schema: {
        summary: "The certificate of this installation's device authority",
        tags: ['public'],
        response: { 200: strict({ certificate: Type.String({ description: 'PEM' }) }) },
      },
    },
    async (_request, reply) => {
      reply.header('cache-control', 'public, max-age=300')
      return { certificate: registry.authorityCertificate() }
    },
  )
}
