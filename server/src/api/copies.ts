import Type, { type Static } from 'typebox'
import { asId, type CopyId, Personal, Secret } from '../core/index.ts'
import type { Copy } from '../insight/index.ts'
import type { RouteParts } from './app.ts'
import { freshSignIn, role } from './authentication.ts'
import { principalOf } from './principal.ts'
import { HumanText, Id, strict, Time, time } from './shapes.ts'

const Grain = Type.Union([Type.Literal('hour'), Type.Literal('day')])
const Field = Type.String({ pattern: '^[A-Za-z0-9.]{1,200}$', examples: ['device.model'] })
const CopyShape = strict({
  copyId: Id,
  name: Type.String(),
  owner: Id,
  purpose: Type.String(),
  fields: Type.Array(Type.String()),
  grain: Grain,
  minGroup: Type.Integer(),
  state: Type.String({ description: 'filling, paused, cut, burning or burned' }),
  reason: Type.Optional(Type.String({ description: 'why it was cut' })),
  problem: Type.Optional(Type.String({ description: 'an error code: why it does not go on now' })),
  destination: Type.String(),
  createdAt: Time,
  expiresAt: Time,
  filled: Type.Integer({ description: 'records that it holds, of `head`' }),
  head: Type.Integer(),
})
const NewCopy = strict({
  name: Type.String({ pattern: '^[a-z][a-z0-9-]{1,39}$', examples: ['quality'] }),
  purpose: HumanText(500),
  fields: Type.Array(Field, { minItems: 1, maxItems: 100 }),
  grain: Type.Optional(Grain),
  expiresSeconds: Type.Integer({ minimum: 3_600 }),
  to: Type.String({
    maxLength: 300,
    examples: ['file'],
    description: 'file, or postgres://user@host:port/database',
  }),
  password: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
  authorityPem: Type.Optional(Type.String({ maxLength: 20_000 })),
  minGroup: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
  from: Type.Optional(Type.Union([Type.Literal('beginning'), Type.Literal('now')])),
})
const Params = strict({ copyId: Id })
const Named = strict({ copy: Type.String({ pattern: '^[a-z0-9-]{2,40}$', description: 'name or id' }) })

/** The fewest devices that a number may stand for, unless somebody says otherwise. */
const MIN_GROUP = 5
const tags = ['operator']

/** Copies for analysts: made and ended by engineers and security officers, seen by analysts. */
export function copyRoutes({ app, authenticate, limit, insight, clock }: RouteParts): void {
  const onRequest = [authenticate.operator, limit.perAccount]

  app.get(
    '/v1/copies',
    {
      onRequest,
      schema: {
        summary: 'All copies that hold data; with `all`, burned ones too',
        tags,
        querystring: strict({ all: Type.Optional(Type.Boolean()) }),
        response: { 200: strict({ copies: Type.Array(CopyShape) }) },
      },
      preHandler: [role('analyst', 'engineer', 'security')],
    },
    async ({ query }) => ({ copies: (await insight.copies(query.all === true)).map(show) }),
  )

  app.post(
    '/v1/copies',
    {
      onRequest,
      schema: {
        summary: 'Make a copy of fields of the catalogue, and fill it',
        tags,
        body: NewCopy,
        response: { 201: CopyShape },
      },
      preHandler: [role('engineer', 'security'), freshSignIn(clock)],
    },
    async (request, reply) => {
      const {
        password,
        purpose,
        authorityPem,
        grain = 'hour',
        minGroup = MIN_GROUP,
        from = 'beginning',
        ...rest
      } = request.body
      const copy = await insight.create({
        ...rest,
        owner: principalOf(request).accountId,
        purpose: new Personal(purpose),
        password: password === undefined ? undefined : new Secret(password),
        authorityPem,
        grain,
        minGroup,
        from,
      })
      return reply.code(201).send(show(copy))
    },
  )

  app.get(
    '/v1/copies/:copy',
    {
      onRequest,
      schema: { summary: 'One copy, by its name or id', tags, params: Named, response: { 200: CopyShape } },
      preHandler: [role('analyst', 'engineer', 'security')],
    },
    async ({ params }) => show(await insight.copy(params.copy)),
  )

  const act = (
    name: 'pause' | 'resume' | 'burn' | 'reopen',
    summary: string,
    guards: NonNullable<Parameters<typeof app.post>[1]['preHandler']>,
  ) =>
    app.post(
      `/v1/copies/:copyId/${name}`,
      {
        onRequest,
        schema: { summary, tags, params: Params, response: { 204: Type.Null() } },
        preHandler: guards,
      },
      async (request, reply) => {
        const { copyId } = request.params as Static<typeof Params>
        await insight[name](asId<CopyId>(copyId), principalOf(request).accountId)
        return reply.code(204).send(null)
      },
    )
  act('pause', 'Stop filling it', [role('engineer', 'security')])
  act('resume', 'Go on filling what was paused', [role('engineer', 'security')])
  act('burn', 'Destroy its key and its data, for good', [role('engineer', 'security'), freshSignIn(clock)])
  act('reopen', 'Let a feed that was cut flow again', [role('security'), freshSignIn(clock)])
}

function show({ purpose, createdAtMs, expiresAtMs, fields, ...copy }: Copy): Static<typeof CopyShape> {
  const { reason, problem, ...rest } = copy
  return {
    ...rest,
    ...(reason !== undefined && { reason }),
    ...(problem !== undefined && { problem }),
    fields: [...fields],
    purpose: purpose.reveal(),
    createdAt: time(createdAtMs),
    expiresAt: time(expiresAtMs),
  }
}
