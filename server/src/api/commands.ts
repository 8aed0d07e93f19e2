import Type from 'typebox'
import { asId, type CommandId, type DeviceId } from '../core/index.ts'
import type { CommandView } from '../home/index.ts'
import type { RouteParts } from './app.ts'
import { byRoom } from './authentication.ts'
import { DeviceParams } from './devices.ts'
import { waitSeconds } from './prefer.ts'
import { principalOf } from './principal.ts'
import { AnyObject, Id, strict, Time, time } from './shapes.ts'

export const CommandShape = strict({
  commandId: Id,
  deviceId: Id,
  command: Type.String({ examples: ['DoorLock.LockDoor'] }),
  state: Type.String({ description: 'queued, delivered, succeeded, failed or expired' }),
  requestedAt: Time,
  expiresAt: Time,
  deliveredAt: Type.Optional(Time),
  finishedAt: Type.Optional(Time),
  status: Type.Optional(Type.String({ description: "The device's Matter status code" })),
  response: Type.Optional(AnyObject),
  withheld: Type.Optional(
    Type.Array(Type.String(), {
      description:
        'What is secret in the response, such as CredentialData: only who asked for the command gets it',
    }),
  ),
})
/** Visible ASCII: what a header can carry anywhere. */
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,128}$/
const MAX_WAIT_SECONDS = 30
const tags = ['command']

export function commandRoutes({ app, authenticate, limit, home }: RouteParts): void {
  app.post(
    '/v1/devices/:deviceId/commands',
    {
      onRequest: [authenticate.customerOrSupport, limit.perAccount, limit.commands],
      schema: {
        summary: 'Ask the device to do something',
        description:
          'Prefer: wait=N (seconds, at most 30) waits for the result: 200 when the command has ended, 202 before. ' +
          'With an Idempotency-Key (1 to 128 visible ASCII characters) a repeated request gives the same command.',
        tags,
        params: DeviceParams,
        headers: Type.Object({
          'idempotency-key': Type.Optional(Type.String({ pattern: IDEMPOTENCY_KEY.source })),
          prefer: Type.Optional(Type.String({ maxLength: 256, examples: ['wait=10'] })),
        }),
        body: strict({
          command: Type.String({ pattern: '^[A-Za-z0-9]{1,64}\\.[A-Za-z0-9]{1,64}$' }),
          endpoint: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_534 })),
          arguments: Type.Optional(AnyObject),
        }),
        response: { 200: CommandShape, 202: CommandShape },
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      const { accountId } = principalOf(request)
      const { command, endpoint } = request.body
      const idempotencyKey = request.headers['idempotency-key']
      const wait = waitSeconds(request.headers.prefer, MAX_WAIT_SECONDS)
      let view = await home.requestCommand({
        accountId,
        deviceId: asId<DeviceId>(request.params.deviceId),
        command,
        arguments: request.body.arguments ?? {},
        ...(endpoint === undefined ? {} : { endpoint }),
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      })
      if (wait !== undefined) {
        reply.header('preference-applied', `wait=${wait}`)
        if (wait > 0 && !hasEnded(view))
          view = await home.waitForCommand(accountId, view.commandId, wait * 1000)
      }
      return reply
        .code(hasEnded(view) ? 200 : 202)
        .header('location', `/v1/commands/${view.commandId}`)
        .send(showCommand(view))
    },
  )

  app.get(
    '/v1/commands/:commandId',
    {
      onRequest: [authenticate.customerOrSupport, limit.perAccount],
      schema: {
        summary: 'How a command stands',
        tags,
        params: strict({ commandId: Id }),
        response: { 200: CommandShape },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      const commandId = asId<CommandId>(request.params.commandId)
      return showCommand(await home.command(principalOf(request).accountId, commandId))
    },
  )
}

function hasEnded({ state }: CommandView): boolean {
  return state === 'succeeded' || state === 'failed' || state === 'expired'
}

export function showCommand(view: CommandView): Type.Static<typeof CommandShape> {
  const { commandId, deviceId, command, state } = view
  return {
    commandId,
    deviceId,
    command,
    state,
    requestedAt: time(view.requestedAtMs),
    expiresAt: time(view.expiresAtMs),
    ...(view.deliveredAtMs === undefined ? {} : { deliveredAt: time(view.deliveredAtMs) }),
    ...(view.finishedAtMs === undefined ? {} : { finishedAt: time(view.finishedAtMs) }),
    ...(view.status === undefined ? {} : { status: view.status }),
    ...(view.response === undefined ? {} : { response: view.response as Record<string, unknown> }),
    ...(view.withheld === undefined ? {} : { withheld: view.withheld }),
  }
}
