import Type from 'typebox'
import { Secret } from '../core/index.ts'
import type { RouteParts } from './app.ts'
import { byRoom, freshSignIn } from './authentication.ts'
import { principalOf } from './principal.ts'
import { strict } from './shapes.ts'

const Code = strict({ code: Type.String({ minLength: 6, maxLength: 32 }) })
const tags = ['account']

/** The code of an authenticator app beside the password. */
export function secondFactorRoutes({ app, authenticate, limit, identity, clock }: RouteParts): void {
  app.get(
    '/v1/me/second-factor',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Whether a password needs a code as well, and how many recovery codes are left',
        tags,
        response: { 200: strict({ on: Type.Boolean(), recoveryCodes: Type.Integer() }) },
      },
      preHandler: [byRoom],
    },
    async (request) => await identity.secondFactor.state(principalOf(request).accountId),
  )

  app.post(
    '/v1/me/second-factor',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Begin to set up an authenticator app; it counts when a first code has come',
        tags,
        response: { 201: strict({ secret: Type.String(), uri: Type.String() }) },
      },
      preHandler: [freshSignIn(clock), byRoom],
    },
    async (request, reply) => {
      const { secret, uri } = await identity.secondFactor.begin(principalOf(request).accountId)
      return reply.code(201).send({ secret: secret.reveal(), uri: uri.reveal() })
    },
  )

  app.post(
    '/v1/me/second-factor/confirm',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Finish setting up with a first code; answers the recovery codes, this once',
        tags,
        body: Code,
        response: { 200: strict({ recoveryCodes: Type.Array(Type.String()) }) },
      },
      preHandler: [freshSignIn(clock), byRoom],
    },
    async (request) => {
      const code = new Secret(request.body.code)
      const codes = await identity.secondFactor.confirm(principalOf(request).accountId, code)
      return { recoveryCodes: codes.map((each) => each.reveal()) }
    },
  )

  app.post(
    '/v1/me/second-factor/remove',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Do without the second factor; needs one of its codes',
        tags,
        body: Code,
        response: { 204: Type.Null() },
      },
      preHandler: [freshSignIn(clock), byRoom],
    },
    async (request, reply) => {
      await identity.secondFactor.remove(principalOf(request).accountId, new Secret(request.body.code))
      return reply.code(204).send(null)
    },
  )
}
