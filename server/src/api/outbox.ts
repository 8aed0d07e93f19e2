import Type from 'typebox'
import type { WaitingLetter } from '../mail/index.ts'
import type { RouteParts } from './app.ts'
import { role } from './authentication.ts'
import { principalOf } from './principal.ts'
import { Id, strict, Time, time } from './shapes.ts'

const outline = {
  letterId: Id,
  kind: Type.String(),
  queuedHour: Time,
  attempts: Type.Integer({ description: 'How often the mail server has put it off' }),
}

/** What waits to be sent. A letter itself is shown only while no mail server is configured; `mail` says why. */
export function outboxRoutes({ app, authenticate, limit, mail }: RouteParts): void {
  app.get(
    '/v1/outbox',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      preHandler: [role('support')],
      schema: {
        summary: 'Letters that wait to be sent',
        tags: ['operator'],
        response: { 200: strict({ sends: Type.Boolean(), letters: Type.Array(strict(outline)) }) },
      },
    },
    async () => ({ sends: mail.sends, letters: (await mail.waiting()).map(show) }),
  )

  app.get(
    '/v1/outbox/:letterId',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      preHandler: [role('support')],
      schema: {
        summary: 'Read a letter in its addressee’s stead; logged, and only without a mail server',
        tags: ['operator'],
        params: strict({ letterId: Id }),
        response: {
          200: strict({ ...outline, to: Type.String(), subject: Type.String(), text: Type.String() }),
        },
      },
    },
    async (request) => {
      const letter = await mail.show(request.params.letterId, principalOf(request).accountId)
      const { to, subject, text } = letter
      return { ...show(letter), to: to.reveal(), subject, text: text.reveal() }
    },
  )
}

function show({ letterId, kind, queuedHourMs, attempts }: WaitingLetter) {
  return { letterId, kind, queuedHour: time(queuedHourMs), attempts }
}
