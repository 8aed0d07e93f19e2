import Type from 'typebox'
import { Personal, Secret } from '../core/index.ts'
import type { RouteParts } from './app.ts'
import { PasskeyLinkShape, showLink } from './passkeys.ts'
import { HumanText, Id, strict } from './shapes.ts'

export const Email = Type.String({ minLength: 3, maxLength: 254 })
export const Password = Type.String({ minLength: 10, maxLength: 256, description: 'Ten characters or more.' })
export const Name = HumanText(100)
export const MailedCode = Type.String({ minLength: 8, maxLength: 32, examples: ['K7QWM-4ZD0P'] })

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
          'Mails a code to the address, good for a day, with which the account comes into being; where the address has an ' +
          'account already, the letter says that instead. The answer is the same.',
        body: strict({ email: Email, name: Name, password: Type.Optional(Password) }),
        response: { 202: strict({ signUpId: Id }) },
      },
    },
    async ({ body, ip }, reply) => {
      const answer = await identity.signUp({
        email: new Personal(body.email),
        name: new Personal(body.name),
        password: body.password === undefined ? undefined : new Secret(body.password),
        remoteAddress: ip,
      })
      return reply.code(202).send(answer)
    },
  )

  app.post(
    '/v1/sign-up/confirm',
    {
      onRequest: [limit.signIns],
      schema: {
        summary: 'Make the account, by the code that was mailed for this sign-up',
        tags: ['account'],
        description:
          'Where the sign-up had no password, the answer holds a link, good for ten minutes and one use: the account comes ' +
          'into being with the passkey that is made there.',
        body: strict({ signUpId: Id, code: MailedCode }),
        response: { 200: strict({ passkey: Type.Optional(PasskeyLinkShape) }) },
      },
    },
    async ({ body, ip }) => {
      const code = new Secret(body.code)
      const link = await identity.confirmSignUp({ signUpId: body.signUpId, code, remoteAddress: ip })
      return link ? { passkey: showLink(link) } : {}
    },
  )
}
