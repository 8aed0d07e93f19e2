import Type from 'typebox'
import { Personal, Secret } from '../core/index.ts'
import type { RouteParts } from './app.ts'
import { PasskeyLinkShape, showLink } from './passkeys.ts'
import { HumanText, strict } from './shapes.ts'

export const Email = Type.String({ minLength: 3, maxLength: 254 })
export const Password = Type.String({ minLength: 10, maxLength: 256, description: 'Ten characters or more.' })
export const Name = HumanText(100)

/** Answers alike whether the address has an account or not: who lives here must not be found out by asking. */
export function signUpRoutes({ app, limit, identity }: RouteParts): void {
  app.post(
    '/v1/sign-up',
    {
      onRequest: [limit.signUps],
      schema: {
        summary: 'Ask for a customer account',
        tags: ['account'],
        description:
          'Without a password the answer holds a link, good for ten minutes and one use: the account comes into being ' +
          'with the passkey that is made there.',
        body: strict({ email: Email, name: Name, password: Type.Optional(Password) }),
        response: { 202: strict({ passkey: Type.Optional(PasskeyLinkShape) }) },
      },
    },
    async ({ body, ip }, reply) => {
      const person = { email: new Personal(body.email), name: new Personal(body.name), remoteAddress: ip }
      if (body.password === undefined) {
        const link = await identity.signUpWithPasskey(person)
        return reply.code(202).send({ passkey: showLink(link) })
      }
      await identity.signUp({ ...person, password: new Secret(body.password) })
      return reply.code(202).send({})
    },
  )
}
