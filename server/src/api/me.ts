import Type from 'typebox'
import type { RouteParts } from './app.ts'
import { principalOf } from './principal.ts'
import { Id, strict } from './shapes.ts'

const Me = strict({
  accountId: Id,
  kind: Type.Union([Type.Literal('customer'), Type.Literal('operator')]),
  roles: Type.Array(Type.String()),
  email: Type.String(),
  name: Type.String(),
})

export function meRoutes({ app, authenticate, limit, identity, vault, live }: RouteParts): void {
  app.get(
    '/v1/me',
    {
      onRequest: [authenticate.anybody, limit.perAccount],
      schema: { summary: 'The account that is signed in', tags: ['account'], response: { 200: Me } },
    },
    async (request) => {
      const { accountId, kind, roles } = principalOf(request)
      const person = await vault.read(accountId)
      return { accountId, kind, roles: [...roles], email: person.email.reveal(), name: person.name.reveal() }
    },
  )

  app.delete(
    '/v1/me/session',
    {
      onRequest: [authenticate.anybody, limit.perAccount],
      schema: {
        summary: 'Sign out: ends this session, its tokens and its live streams',
        tags: ['account'],
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const principal = principalOf(request)
      await identity.endSession(principal)
      live.endSession(principal.sessionId)
      return reply.code(204).send(null)
    },
  )
}
