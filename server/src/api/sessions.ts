import Type from 'typebox'
import type { RouteParts } from './app.ts'
import { byRoom } from './authentication.ts'
import { principalOf } from './principal.ts'
import { strict, Time, time } from './shapes.ts'

const SessionShape = strict({
  sessionId: Type.String(),
  current: Type.Boolean({ description: 'It is the one that asks' }),
  client: Type.String(),
  beganAt: Time,
  beganIn: Type.Optional(Type.String({ description: 'A network: an IPv4 /24 or an IPv6 /48' })),
  lastUsedHour: Time,
  lastIn: Type.Optional(Type.String()),
})
const tags = ['account']

/** Where one is signed in. Ending a sign-in ends its tokens and its live streams. */
export function sessionRoutes({ app, authenticate, limit, identity }: RouteParts): void {
  const onRequest = [authenticate.anybody, limit.perAccount]

  app.get(
    '/v1/me/sessions',
    {
      onRequest,
      schema: {
        summary: 'Where the account is signed in, the newest first',
        tags,
        response: { 200: strict({ sessions: Type.Array(SessionShape) }) },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      const { accountId, sessionId: own } = principalOf(request)
      const sessions = await identity.sessions(accountId)
      return {
        sessions: sessions.map(({ sessionId, client, beganAtMs, beganIn, lastUsedHourMs, lastIn }) => ({
          sessionId,
          current: sessionId === own,
          client,
          beganAt: time(beganAtMs),
          ...(beganIn === undefined ? {} : { beganIn }),
          lastUsedHour: time(lastUsedHourMs),
          ...(lastIn === undefined ? {} : { lastIn }),
        })),
      }
    },
  )

  app.delete(
    '/v1/me/sessions',
    {
      onRequest,
      schema: {
        summary: 'End all sessions; with `others`, all but this one',
        tags,
        querystring: strict({ others: Type.Optional(Type.Boolean()) }),
        response: { 204: Type.Null() },
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      const principal = principalOf(request)
      if (request.query.others) await identity.endOtherSessions(principal)
      else await identity.endAllSessions(principal)
      return reply.code(204).send(null)
    },
  )

  app.delete(
    '/v1/me/sessions/:sessionId',
    {
      onRequest,
      schema: {
        summary: 'End one session',
        tags,
        params: strict({ sessionId: Type.String({ pattern: '^[\\w-]{1,64}$' }) }),
        response: { 204: Type.Null() },
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      await identity.endOneSession(principalOf(request), request.params.sessionId)
      return reply.code(204).send(null)
    },
  )

  app.delete(
    '/v1/me/session',
    {
      onRequest,
      schema: {
        summary: 'Sign out: ends this session, its tokens and its live streams',
        tags,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await identity.endSession(principalOf(request))
      return reply.code(204).send(null)
    },
  )
}
