import Type from 'typebox'
import { asId, type DeviceId, type HouseholdId } from '../core/index.ts'
import { type ResetRequest, type ResetView, resetScopes } from '../guard/index.ts'
import type { RouteParts } from './app.ts'
import { freshSignIn, role } from './authentication.ts'
import { principalOf } from './principal.ts'
import { keepAnswer } from './reset-answers.ts'
import { Id, strict, Time, time } from './shapes.ts'

const Request = strict({
  scope: Type.Union(
    resetScopes.map((scope) => Type.Literal(scope)),
    { description: 'What is re-keyed' },
  ),
  householdId: Type.Optional(Id),
  store: Type.Optional(
    Type.String({ minLength: 1, maxLength: 200, description: 'Only homes whose data went into it' }),
  ),
  quietly: Type.Boolean({
    description: 'Apps go on by proving their keys; otherwise people sign in anew',
  }),
})

const Counts = strict({
  accounts: Type.Integer(),
  signIns: Type.Integer(),
  mailedCodes: Type.Integer(),
  invitations: Type.Integer(),
  transfers: Type.Integer(),
  devices: Type.Integer(),
  replacingKeys: Type.Integer({ description: 'Devices that replace their key when they come back' }),
  keepingPasswords: Type.Integer({
    description: 'Devices with a password that nothing can replace: it stays as it is',
  }),
  deviceConnections: Type.Integer(),
  liveStreams: Type.Integer(),
})

const ResetShape = strict({
  resetId: Id,
  scope: Type.String(),
  householdId: Type.Optional(Id),
  store: Type.Optional(Type.String()),
  quietly: Type.Boolean(),
  operator: Id,
  state: Type.String({ description: 'preparing, void (in force) or done' }),
  begunAt: Time,
  voidAt: Type.Optional(Time),
  doneAt: Type.Optional(Time),
  removedSignIns: Type.Integer(),
  closedConnections: Type.Integer(),
  waitingConnections: Type.Integer(),
})

const tags = ['operator']

/** Everything re-keyed at once, by a security officer with a fresh sign-in. */
export function resetRoutes({ app, authenticate, limit, reset, registry, clock }: RouteParts): void {
  app.post(
    '/v1/resets/plan',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      preHandler: [role('security')],
      schema: {
        summary: 'What a reset would make void now; changes nothing',
        tags,
        body: Request,
        response: { 200: Counts },
      },
    },
    async ({ body }) => await reset.plan(requestOf(body)),
  )

  app.post(
    '/v1/resets',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      preHandler: [role('security'), freshSignIn(clock)],
      schema: {
        summary: 'Make everything void that was issued before',
        description:
          'In force when it is answered, unless it is narrowed to a store: then as soon as it is listed whom that reaches.',
        tags,
        body: Request,
        response: { 202: ResetShape },
      },
    },
    async (request, reply) => {
      // With the scope all, it reaches the sign-in that asks for it.
      keepAnswer(request)
      const { accountId } = principalOf(request)
      return reply.code(202).send(show(await reset.begin(requestOf(request.body), accountId)))
    },
  )

  app.get(
    '/v1/resets',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      preHandler: [role('security', 'engineer')],
      schema: {
        summary: 'The latest resets, newest first',
        tags,
        response: { 200: strict({ resets: Type.Array(ResetShape) }) },
      },
    },
    async () => ({ resets: (await reset.list()).map(show) }),
  )

  app.get(
    '/v1/resets/:resetId',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      preHandler: [role('security', 'engineer')],
      schema: {
        summary: 'How far a reset is',
        tags,
        params: strict({ resetId: Id }),
        response: { 200: ResetShape },
      },
    },
    async ({ params }) => show(await reset.get(params.resetId)),
  )

  app.get(
    '/v1/devices/keeping-passwords',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      preHandler: [role('security', 'engineer')],
      schema: {
        summary: 'Devices whose password no reset replaces, a thousand at a time',
        tags,
        querystring: strict({ after: Type.Optional(Id) }),
        response: { 200: strict({ deviceIds: Type.Array(Id), next: Type.Optional(Id) }) },
      },
    },
    async ({ query: { after } }) => {
      const deviceIds = await registry.resets.keepingPasswords({
        after: after === undefined ? undefined : asId<DeviceId>(after),
        limit: PAGE,
      })
      return { deviceIds, ...(deviceIds.length === PAGE ? { next: deviceIds.at(-1) as string } : {}) }
    },
  )
}

const PAGE = 1_000

function requestOf({ householdId, ...rest }: Type.Static<typeof Request>): ResetRequest {
  return { ...rest, ...(householdId === undefined ? {} : { householdId: asId<HouseholdId>(householdId) }) }
}

function show(view: ResetView): Type.Static<typeof ResetShape> {
  const { begunAtMs, voidAtMs, doneAtMs, householdId, store, ...rest } = view
  return {
    ...rest,
    ...(householdId === undefined ? {} : { householdId }),
    ...(store === undefined ? {} : { store }),
    begunAt: time(begunAtMs),
    ...(voidAtMs === undefined ? {} : { voidAt: time(voidAtMs) }),
    ...(doneAtMs === undefined ? {} : { doneAt: time(doneAtMs) }),
  }
}
