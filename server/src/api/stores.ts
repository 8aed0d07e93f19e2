import Type from 'typebox'
import type { WatchedStore } from '../guard/index.ts'
import type { RouteParts } from './app.ts'
import { freshSignIn, role } from './authentication.ts'
import { principalOf } from './principal.ts'
import { HumanText, Id, strict, Time, time } from './shapes.ts'

const Address = Type.String({
  minLength: 1,
  maxLength: 300,
  examples: ['postgresql://metrics.example.org:5432'],
  description: 'host, host:port or protocol://host:port; never a password',
})

const StoreShape = strict({
  key: Type.String({
    description: 'own:… of this installation, feed:… of a copy, declared:… by an operator',
  }),
  storeId: Type.Optional(Id),
  name: Type.String(),
  address: Type.String(),
  fed: Type.Boolean({ description: 'A feed goes there' }),
  here: Type.Boolean({ description: 'Only the process that answers can see it' }),
  verdict: Type.String({ description: 'open, protected, other, silent, or unknown: not yet looked at' }),
  evidence: Type.Optional(Type.String()),
  protocol: Type.Optional(Type.String()),
  lookedAt: Type.Optional(Time),
})
const StoresShape = strict({ stores: Type.Array(StoreShape) })

/** What is watched as a stranger would look at it. Only what stands here is ever contacted. */
export function storeRoutes({ app, authenticate, limit, guard, clock }: RouteParts): void {
  const tags = ['operator']
  const mayWatch = role('security', 'engineer')
  app.get(
    '/v1/stores',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      preHandler: [mayWatch],
      schema: {
        summary: 'Everything that is watched, and how it last answered',
        tags,
        response: { 200: StoresShape },
      },
    },
    async () => ({ stores: (await guard.stores.all()).map(show) }),
  )

  app.post(
    '/v1/stores',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      preHandler: [mayWatch],
      schema: {
        summary: 'Watch one more address of yours',
        tags,
        body: strict({ address: Address, name: HumanText(100), note: Type.Optional(HumanText(500)) }),
        response: { 201: strict({ storeId: Id, name: Type.String(), address: Type.String() }) },
      },
    },
    async (request, reply) => {
      const added = await guard.stores.add(request.body, principalOf(request).accountId)
      const { storeId, name, address } = added
      return reply.code(201).send({ storeId, name, address })
    },
  )

  app.delete(
    '/v1/stores/:storeId',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      // Fewer eyes: a sign-in that was left lying open is not enough.
      preHandler: [mayWatch, freshSignIn(clock)],
      schema: {
        summary: 'Watch an address that was added no more',
        tags,
        params: strict({ storeId: Id }),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await guard.stores.remove(request.params.storeId, principalOf(request).accountId)
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/stores/probe',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      preHandler: [mayWatch],
      schema: { summary: 'Look at all of them now', tags, response: { 200: StoresShape } },
    },
    async () => ({ stores: (await guard.stores.lookNow()).map(show) }),
  )
}

function show({ key, name, address, fed, here, state }: WatchedStore): Type.Static<typeof StoreShape> {
  const [, storeId] = /^declared:(.+)$/.exec(key) ?? []
  return {
    key,
    ...(storeId !== undefined && { storeId }),
    name,
    address,
    fed,
    here,
    verdict: state?.verdict ?? 'unknown',
    ...(state && { evidence: state.evidence, lookedAt: time(state.atMs) }),
    ...(state?.protocol !== undefined && { protocol: state.protocol }),
  }
}
