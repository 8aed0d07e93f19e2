import Type from 'typebox'
import { Secret } from '../core/index.ts'
import type { RouteParts } from './app.ts'
import { byRoom, isFresh } from './authentication.ts'
import { principalOf } from './principal.ts'
import { strict } from './shapes.ts'
import { Password } from './sign-up.ts'

export function passwordRoutes({ app, authenticate, limit, identity, clock }: RouteParts): void {
  app.put(
    '/v1/me/password',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Set another password, or a first one; ends every other session',
        description: 'Needs the present password, or a sign-in with a passkey within the last ten minutes.',
        tags: ['account'],
        body: strict({
          current: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
          next: Password,
        }),
        response: { 204: Type.Null() },
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      const principal = principalOf(request)
      const { current, next } = request.body
      await identity.changePassword(principal, {
        current: current === undefined ? undefined : new Secret(current),
        next: new Secret(next),
        byFreshSignIn: isFresh(principal, clock),
      })
      return reply.code(204).send(null)
    },
  )
}
