import Type from 'typebox'
import { type AccountId, asId, Personal, Secret } from '../core/index.ts'
import type { RouteParts } from './app.ts'
import { freshSignIn, role } from './authentication.ts'
import { PasskeyLinkShape, showLink } from './passkeys.ts'
import { principalOf } from './principal.ts'
import { Id, strict, Time, time } from './shapes.ts'
import { Email, Name } from './sign-up.ts'

const Role = Type.Union([
  Type.Literal('engineer'),
  Type.Literal('analyst'),
  Type.Literal('support'),
  Type.Literal('security'),
])
const Roles = Type.Array(Role, {
  minItems: 1,
  maxItems: 4,
  uniqueItems: true,
})
const OperatorShape = strict({ accountId: Id, email: Type.String(), name: Type.String(), roles: Roles })
const OperatorParams = strict({ accountId: Id })
const INVITATION_MS = 24 * 60 * 60 * 1000
const tags = ['operator']

/** The maker's staff: in by a one-use code and a passkey, never by signing up; changed by a security officer. */
export function operatorRoutes({ app, authenticate, limit, identity, clock }: RouteParts): void {
  app.post(
    '/v1/operators',
    {
      onRequest: [limit.operatorEnrolments],
      schema: {
        summary: 'Enrol as an operator with a one-use code',
        description: 'The account comes into being with the passkey that is made at the link in the answer.',
        tags,
        body: strict({ code: Type.String({ minLength: 8, maxLength: 128 }), email: Email, name: Name }),
        response: { 201: strict({ passkey: PasskeyLinkShape }) },
      },
    },
    async ({ body, ip }, reply) => {
      const link = await identity.enrolOperator({
        code: new Secret(body.code),
        email: new Personal(body.email),
        name: new Personal(body.name),
        remoteAddress: ip,
      })
      return reply.code(201).send({ passkey: showLink(link) })
    },
  )

  app.get(
    '/v1/operators',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      schema: {
        summary: 'All operators and their roles',
        tags,
        response: { 200: strict({ operators: Type.Array(OperatorShape) }) },
      },
      preHandler: [role('security')],
    },
    async () => ({
      operators: (await identity.operators.list()).map(({ accountId, email, name, roles }) => ({
        accountId,
        email: email.reveal(),
        name: name.reveal(),
        roles,
      })),
    }),
  )

  app.post(
    '/v1/operators/invitations',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      schema: {
        summary: 'A one-use code, good for a day, for a new operator with these roles',
        tags,
        body: strict({ roles: Roles }),
        response: { 201: strict({ code: Type.String(), expiresAt: Time }) },
      },
      preHandler: [role('security'), freshSignIn(clock)],
    },
    async (request, reply) => {
      const { accountId } = principalOf(request)
      const code = await identity.inviteOperator({ invitedBy: accountId, roles: request.body.roles })
      return reply.code(201).send({ code: code.reveal(), expiresAt: time(clock.nowMs() + INVITATION_MS) })
    },
  )

  app.put(
    '/v1/operators/:accountId/roles',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      schema: {
        summary: 'Change what an operator may do, from the next request on',
        tags,
        params: OperatorParams,
        body: strict({ roles: Roles }),
        response: { 204: Type.Null() },
      },
      preHandler: [role('security'), freshSignIn(clock)],
    },
    async (request, reply) => {
      const { accountId: by } = principalOf(request)
      await identity.operators.setRoles(asId<AccountId>(request.params.accountId), request.body.roles, by)
      return reply.code(204).send(null)
    },
  )

  app.delete(
    '/v1/operators/:accountId',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      schema: {
        summary: 'Remove an operator; the last security officer stays',
        tags,
        params: OperatorParams,
        response: { 204: Type.Null() },
      },
      preHandler: [role('security'), freshSignIn(clock)],
    },
    async (request, reply) => {
      const { accountId: by } = principalOf(request)
      await identity.operators.remove(asId<AccountId>(request.params.accountId), by)
      return reply.code(204).send(null)
    },
  )
}
