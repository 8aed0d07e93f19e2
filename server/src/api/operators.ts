import Type from 'typebox'
import { Personal, Secret } from '../core/index.ts'
import type { RouteParts } from './app.ts'
import { Empty, strict } from './shapes.ts'
import { Email, Name, Password } from './sign-up.ts'

/** Operators come in by a one-use code that the installation prints, never by signing up. */
export function operatorRoutes({ app, limit, identity }: RouteParts): void {
  app.post(
    '/v1/operators',
    {
      onRequest: [limit.operatorEnrolments],
      schema: {
        summary: 'Enrol as an operator with a one-use code',
        tags: ['operator'],
        body: strict({
          code: Type.String({ minLength: 8, maxLength: 128 }),
          email: Email,
          name: Name,
          password: Password,
        }),
        response: { 201: Empty },
      },
    },
    async ({ body, ip }, reply) => {
      await identity.enrolOperator({
        code: new Secret(body.code),
        email: new Personal(body.email),
        name: new Personal(body.name),
        password: new Secret(body.password),
        remoteAddress: ip,
      })
      return reply.code(201).send({})
    },
  )
}
