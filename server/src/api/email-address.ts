import Type from 'typebox'
import { Personal, Secret } from '../core/index.ts'
import type { RouteParts } from './app.ts'
import { byRoom, freshSignIn } from './authentication.ts'
import { principalOf } from './principal.ts'
import { Empty, strict } from './shapes.ts'
import { Email, MailedCode } from './sign-up.ts'

const tags = ['account']

/** Another address in the place of the one that is there. */
export function emailAddressRoutes({ app, authenticate, limit, identity, clock }: RouteParts): void {
  app.post(
    '/v1/me/email/verify',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Confirm your new address by the code that was mailed to it',
        tags,
        body: strict({ code: MailedCode }),
        response: { 204: Type.Null() },
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      await identity.verifyEmail(principalOf(request).accountId, new Secret(request.body.code))
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/me/email',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Have a code mailed to another address, which becomes yours when the code has come back',
        tags,
        body: strict({ email: Email }),
        response: { 202: Empty },
      },
      preHandler: [freshSignIn(clock), byRoom],
    },
    async (request, reply) => {
      await identity.requestEmailChange(principalOf(request), new Personal(request.body.email))
      return reply.code(202).send({})
    },
  )
}
