import Type from 'typebox'
import { Personal, Secret } from '../core/index.ts'
import type { RouteParts } from './app.ts'
import { Empty, HumanText, strict } from './shapes.ts'

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
        body: strict({ email: Email, name: Name, password: Password }),
        response: { 202: Empty },
      },
    },
    async ({ body, ip }, reply) => {
      await identity.signUp({
        email: new Personal(body.email),
        name: new Personal(body.name),
        password: new Secret(body.password),
        remoteAddress: ip,
      })
      return reply.code(202).send({})
    },
  )
}
