import Type from 'typebox'
import { AppError } from '../core/index.ts'
import type { ProvisionedDevice } from '../registry/index.ts'
import type { RouteParts } from './app.ts'
import { role } from './authentication.ts'
import { ModelName } from './models.ts'
import { principalOf } from './principal.ts'
import { Id, strict } from './shapes.ts'

const MAX_DEVICES = 1000

const ProvisionedShape = strict({
  deviceId: Id,
  certificate: Type.String({ description: 'PEM' }),
  privateKey: Type.Optional(
    Type.String({ description: 'PEM (PKCS #8), shown this once; not with a signed request' }),
  ),
  claimCode: Type.String({ examples: ['7K2M-9QXD-4T1V-H8CW'] }),
  qr: Type.String({ description: "The text for the QR code on the device's label" }),
  password: Type.Optional(Type.String({ description: 'For off-the-shelf firmware only; shown this once' })),
})

/** Making devices: the private parts leave once, in this answer, and are not kept. */
export function provisioningRoutes({ app, authenticate, limit, limits, registry }: RouteParts): void {
  app.post(
    '/v1/devices',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      bodyLimit: limits.provisioningBodyBytes,
      schema: {
        summary: 'Provision devices of a model: by count, or from PKCS #10 requests made in the factory',
        tags: ['operator'],
        body: strict({
          model: ModelName,
          count: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_DEVICES })),
          requests: Type.Optional(
            Type.Array(Type.String({ minLength: 1, maxLength: 8192 }), {
              minItems: 1,
              maxItems: MAX_DEVICES,
            }),
          ),
          withPassword: Type.Optional(Type.Boolean()),
        }),
        response: { 201: strict({ devices: Type.Array(ProvisionedShape) }) },
      },
      preHandler: [role('engineer')],
    },
    async (request, reply) => {
      const { body } = request
      const { count, requests, withPassword = false } = body
      const model = await registry.modelByName(body.model)
      if (!model) throw new AppError('not_found', { message: 'There is no model of this name.' })
      const devices = await registry.provision(
        { modelId: model.id, ...oneOf(count, requests) },
        { withPassword, by: principalOf(request).accountId },
      )
      return reply.code(201).send({ devices: devices.map(show) })
    },
  )
}

function oneOf(count: number | undefined, requests: string[] | undefined) {
  if (count !== undefined && requests === undefined) return { count }
  if (requests !== undefined && count === undefined) return { requests }
  throw new AppError('invalid_request', { message: 'body: give either count or requests' })
}

function show(device: ProvisionedDevice): Type.Static<typeof ProvisionedShape> {
  const code = device.claimCode.reveal()
  return {
    deviceId: device.deviceId,
    certificate: device.certificatePem,
    claimCode: code,
    qr: `HEARTH:1:${code.replaceAll('-', '')}`,
    ...(device.privateKeyPem ? { privateKey: device.privateKeyPem.reveal() } : {}),
    ...(device.password ? { password: device.password.reveal() } : {}),
  }
}
