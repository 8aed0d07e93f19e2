import Type from 'typebox'
import { Personal, Secret } from '../core/index.ts'
import type { RouteParts } from './app.ts'
import { byRoom, freshSignIn } from './authentication.ts'
import { principalOf } from './principal.ts'
import { Empty, strict } from './shapes.ts'
import { Email } from './sign-up.ts'

export const MailedCode = Type.String({ minLength: 8, maxLength: 32, examples: ['K7QWM-4ZD0P'] })
const tags = ['account']

/** That the address is its owner's, and another in its place. */
export function emailAddressRoutes({ app, authenticate, limit, identity, clock }: RouteParts): void {
  app.post(
    '/v1/me/email/verification',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: { summary: 'Have a code mailed to your address', tags, response: { 202: Empty } },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      await identity.requestEmailVerification(principalOf(request).accountId)
      return reply.code(202).send({})
    },
  )

  app.post(
    '/v1/me/email/verify',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Confirm your address, or the new one, by the code that was mailed to it',
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
