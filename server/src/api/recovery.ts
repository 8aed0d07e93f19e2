import Type from 'typebox'
import { Personal, Secret } from '../core/index.ts'
import type { RouteParts } from './app.ts'
import { byRoom, isFresh } from './authentication.ts'
import { principalOf } from './principal.ts'
import { Empty, strict } from './shapes.ts'
import { Email, MailedCode, Password } from './sign-up.ts'

const Otp = Type.String({ minLength: 6, maxLength: 32 })
const tags = ['account']

/** Back into an account without its password. Neither route tells whether the address has an account. */
export function recoveryRoutes({ app, authenticate, limit, identity, clock }: RouteParts): void {
  app.post(
    '/v1/recovery',
    {
      onRequest: [limit.signUps],
      schema: {
        summary: 'Have a recovery code mailed to a customer’s address',
        tags,
        body: strict({ email: Email }),
        response: { 202: Empty },
      },
    },
    async ({ body, ip }, reply) => {
      await identity.requestRecovery({ email: new Personal(body.email), remoteAddress: ip })
      return reply.code(202).send({})
    },
  )

  app.post(
    '/v1/recovery/complete',
    {
      onRequest: [limit.signIns],
      schema: {
        summary: 'A new password, by the mailed code and, where the account has one, the second factor',
        tags,
        body: strict({
          email: Email,
          code: MailedCode,
          newPassword: Password,
          otp: Type.Optional(Otp),
        }),
        response: { 204: Type.Null() },
      },
    },
    async ({ body, ip }, reply) => {
      await identity.completeRecovery({
        email: new Personal(body.email),
        code: new Secret(body.code),
        newPassword: new Secret(body.newPassword),
        otp: body.otp === undefined ? undefined : new Secret(body.otp),
        remoteAddress: ip,
      })
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/me/recovery/confirm',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'It was me: ends the waiting time. For a session from before the recovery',
        tags,
        response: { 204: Type.Null() },
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      await identity.confirmRecovery(principalOf(request))
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/me/recovery/deny',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'It was not me: ends all sessions since, and the password from before holds again',
        description:
          'For a session from before the recovery, with a sign-in within the last ten minutes or the password from before (and ' +
          'the second factor, where there is one); or after a sign-in with a passkey from before.',
        tags,
        body: strict({
          formerPassword: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
          otp: Type.Optional(Otp),
        }),
        response: { 204: Type.Null() },
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      const principal = principalOf(request)
      const { formerPassword, otp } = request.body
      await identity.denyRecovery(principal, {
        byFreshSignIn: isFresh(principal, clock),
        formerPassword: formerPassword === undefined ? undefined : new Secret(formerPassword),
        otp: otp === undefined ? undefined : new Secret(otp),
      })
      return reply.code(204).send(null)
    },
  )
}
