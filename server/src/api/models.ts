import Type from 'typebox'
import type { Model } from '../registry/index.ts'
import type { RouteParts } from './app.ts'
import { role } from './authentication.ts'
import { principalOf } from './principal.ts'
import { HumanText, Id, strict } from './shapes.ts'

export const ModelName = Type.String({ pattern: '^[a-z0-9-]{2,40}$', examples: ['front-door-lock'] })
const MatterName = Type.String({ pattern: '^[A-Za-z0-9]{1,64}$' })
const ClaimPolicy = Type.Union([Type.Literal('release-required'), Type.Literal('possession')])
const MAX_CLUSTERS = 64

const ModelDefinitionShape = strict({
  name: ModelName,
  title: HumanText(100),
  vendor: HumanText(100),
  deviceType: MatterName,
  clusters: Type.Optional(Type.Array(MatterName, { maxItems: MAX_CLUSTERS })),
  firmware: Type.Optional(HumanText(60)),
  commands: Type.Optional(
    Type.Record(
      Type.String({ pattern: '^(\\*|[A-Za-z0-9]{1,64}\\.(\\*|[A-Za-z0-9]{1,64}))$' }),
      strict({
        whenOffline: Type.Union([Type.Literal('refuse'), Type.Literal('queue')]),
        expiresSeconds: Type.Integer({ minimum: 1, maximum: 604_800 }),
      }),
      { additionalProperties: false, maxProperties: 256 },
    ),
  ),
  claimPolicy: ClaimPolicy,
  credentialRotation: Type.Optional(Type.Boolean()),
  reset: Type.Optional(
    Type.Literal('fresh-code', { description: 'Its devices make a new claim code at each physical reset' }),
  ),
  endpoints: Type.Optional(Type.Integer({ minimum: 1, maximum: 254 })),
})

const ModelShape = strict({
  modelId: Id,
  name: ModelName,
  title: Type.String(),
  vendor: Type.String(),
  deviceType: Type.String(),
  clusters: Type.Array(Type.String()),
  firmware: Type.Optional(Type.String()),
  claimPolicy: ClaimPolicy,
  credentialRotation: Type.Boolean(),
  reset: Type.Optional(Type.Literal('fresh-code')),
  endpoints: Type.Integer(),
})
const tags = ['operator']

/** The maker's products. */
export function modelRoutes({ app, authenticate, limit, registry }: RouteParts): void {
  app.get(
    '/v1/models',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      schema: { summary: 'All models', tags, response: { 200: strict({ models: Type.Array(ModelShape) }) } },
      preHandler: [role('engineer')],
    },
    async () => ({ models: (await registry.models()).map(showModel) }),
  )

  app.post(
    '/v1/models',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      schema: {
        summary: 'Describe a new model by its Matter device type and clusters',
        tags,
        body: ModelDefinitionShape,
        response: { 201: ModelShape },
      },
      preHandler: [role('engineer')],
    },
    async (request, reply) => {
      const model = await registry.addModel(request.body, principalOf(request).accountId)
      return reply.code(201).send(showModel(model))
    },
  )
}

function showModel(model: Model): Type.Static<typeof ModelShape> {
  const { id, name, title, vendor, deviceType, clusters, firmware, claimPolicy } = model
  const { credentialRotation, endpoints, reset } = model
  return {
    modelId: id,
    name,
    title,
    vendor,
    deviceType,
    clusters: [...clusters],
    claimPolicy,
    credentialRotation,
    endpoints,
    ...(firmware === undefined ? {} : { firmware }),
    ...(reset === undefined ? {} : { reset }),
  }
}
