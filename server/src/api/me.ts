import Type from 'typebox'
import type { RouteParts } from './app.ts'
import { byRoom } from './authentication.ts'
import { NoticeShape, showNotice } from './notice-shape.ts'
import { principalOf } from './principal.ts'
import { Id, strict } from './shapes.ts'

const Me = strict({
  accountId: Id,
  kind: Type.Union([Type.Literal('customer'), Type.Literal('operator')]),
  roles: Type.Array(Type.String()),
  email: Type.String(),
  name: Type.String(),
  notices: Type.Array(NoticeShape, {
    description: 'What you should know about this account, newest first; kept for thirty days',
  }),
})

export function meRoutes({ app, authenticate, limit, identity, vault }: RouteParts): void {
  app.get(
    '/v1/me',
    {
      onRequest: [authenticate.anybody, limit.perAccount],
      schema: { summary: 'The account that is signed in', tags: ['account'], response: { 200: Me } },
    },
    async (request) => {
      const { accountId, kind, roles } = principalOf(request)
      const [person, notices] = await Promise.all([vault.read(accountId), identity.notices(accountId)])
      return {
        accountId,
        kind,
        roles: [...roles],
        email: person.email.reveal(),
        name: person.name.reveal(),
        notices: notices.map(showNotice),
      }
    },
  )

  app.delete(
    '/v1/me/notices/:noticeId',
    {
      onRequest: [authenticate.anybody, limit.perAccount],
      schema: {
        summary: 'Put a notice away; one that is not there is put away already',
        tags: ['account'],
        params: strict({ noticeId: Id }),
        response: { 204: Type.Null() },
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      await identity.dismissNotice(principalOf(request).accountId, request.params.noticeId)
      return reply.code(204).send(null)
    },
  )
}
