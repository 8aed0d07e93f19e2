import Type from 'typebox'
import { type AccountId, AppError, asId, type HouseholdId } from '../core/index.ts'
import type { HouseholdWish } from '../registry/index.ts'
import type { RouteParts } from './app.ts'
import { freshSignIn } from './authentication.ts'
import { principalOf } from './principal.ts'
import { Id, strict } from './shapes.ts'

/** `to` comes with `hand-over`: one of the household's adults. */
const WishShape = strict({
  householdId: Id,
  wish: Type.Union([Type.Literal('end'), Type.Literal('hand-over')]),
  to: Type.Optional(Id),
})

export function erasureRoutes({ app, authenticate, limit, privacy, clock }: RouteParts): void {
  app.delete(
    '/v1/me',
    {
      onRequest: [authenticate.anybody, limit.perAccount],
      schema: {
        summary: 'Erase the account for good, with its keys and all that it alone had',
        description:
          'Each household that the account owns alone needs a wish: that it ends, or who owns it then.',
        tags: ['account'],
        body: strict({ households: Type.Array(WishShape, { maxItems: 20 }) }),
        response: { 204: Type.Null() },
      },
      preHandler: [freshSignIn(clock)],
    },
    async (request, reply) => {
      await privacy.erase(principalOf(request), request.body.households.map(readWish))
      return reply.code(204).send(null)
    },
  )
}

/** @throws AppError invalid_request */
function readWish({ householdId: id, wish, to }: Type.Static<typeof WishShape>): HouseholdWish {
  const householdId = asId<HouseholdId>(id)
  if ((wish === 'hand-over') !== (to !== undefined)) {
    throw new AppError('invalid_request', { message: 'body: hand-over, and only that, says to whom' })
  }
  return to === undefined
    ? { householdId, wish: 'end' }
    : { householdId, wish: 'hand-over', to: asId<AccountId>(to) }
}
