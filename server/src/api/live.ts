import { AppError, asId, type HouseholdId } from '../core/index.ts'
import type { LiveUpdate } from '../home/index.ts'
import type { RouteParts } from './app.ts'
import { byRoom } from './authentication.ts'
import { showCommand } from './commands.ts'
import type { LiveStream } from './live-streams.ts'
import { principalOf } from './principal.ts'
import { Id, strict, time } from './shapes.ts'

/**
 * What happens in a household, as server-sent events: `ready` when watching has begun (read the devices then: no
 * update is missed), `update`, `resync` when updates had to be left out (read the devices again), `end` with the
 * reason when we close; `security` when there is something to know about the account (`GET /v1/me` has it, too). `home`
 * authorizes each update and says when the access has ended. The end of the session ends the stream, wherever it came
 * about, and so does a token's lifetime.
 */
export function liveRoutes({ app, authenticate, limit, identity, home, live, log }: RouteParts): void {
  app.get(
    '/v1/households/:householdId/live',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Live updates of a household as server-sent events',
        description:
          'Events: ready (now read the devices), update, resync (read the devices again), security (a notice about the ' +
          'account), end, and when to come back (retry). ' +
          'After an end with why=reconnect connect again with a fresh token.',
        tags: ['household'],
        produces: ['text/event-stream'],
        params: strict({ householdId: Id }),
      },
      preHandler: [byRoom],
    },
    async (request, reply) => {
      const principal = principalOf(request)
      const { accountId, sessionId } = principal
      const householdId = asId<HouseholdId>(request.params.householdId)
      const stream = live.begin(principal)
      try {
        const stop = await home.watch(accountId, householdId, (update) => sendUpdate(stream, update))
        stream.onClose(stop)
        // It may have ended after this request was authenticated, and before its stream could be found.
        if (!(await identity.isSessionLive(sessionId))) throw new AppError('unauthenticated')
        if (!(await identity.resets.isCurrent(principal))) throw new AppError('unauthenticated')
      } catch (error) {
        stream.end('access_ended')
        throw error
      }
      reply.hijack()
      stream.open(reply.raw, reply.getHeaders())
      void stream.send('ready', { householdId })
      log.debug('a live stream began', { householdId, streams: live.count })
    },
  )
}

function sendUpdate(stream: LiveStream, update: LiveUpdate): void | Promise<void> {
  switch (update.kind) {
    case 'ended':
      return stream.end('access_ended')
    case 'interrupted':
      return stream.end('reconnect')
    case 'resync':
      return stream.send('resync', {})
    case 'command': {
      const { deviceId, command } = update
      return stream.send('update', { kind: 'command', deviceId, command: showCommand(command) })
    }
    default: {
      const { deviceId, seq, kind, atMs, payload } = update
      return stream.send('update', { kind, deviceId, seq, at: time(atMs), payload }, seq)
    }
  }
}
