import Type from 'typebox'
import { asId, type HouseholdId } from '../core/index.ts'
import type { LogEntry } from '../registry/index.ts'
import type { RouteParts } from './app.ts'
import { byRoom } from './authentication.ts'
import { namePeople, type Person, PersonShape } from './person-shape.ts'
import { principalOf } from './principal.ts'
import { AnyObject, Id, strict, Time, time } from './shapes.ts'

const EntryShape = strict({
  seq: Type.Integer(),
  at: Time,
  kind: Type.String({ examples: ['joined', 'removed', 'support_given'] }),
  by: Type.Optional(PersonShape),
  account: Type.Optional(PersonShape),
  deviceId: Type.Optional(Id),
  details: AnyObject,
})

export function householdLogRoutes({ app, authenticate, limit, registry, vault }: RouteParts): void {
  app.get(
    '/v1/households/:householdId/log',
    {
      onRequest: [authenticate.customer, limit.perAccount],
      schema: {
        summary: 'Who changed what in the household, newest first; for its owners and adults',
        tags: ['household'],
        params: strict({ householdId: Id }),
        querystring: strict({
          before: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
        }),
        response: {
          200: strict({
            entries: Type.Array(EntryShape),
            next: Type.Optional(
              Type.Integer({ description: 'Give it as `before` for the page that follows' }),
            ),
          }),
        },
      },
      preHandler: [byRoom],
    },
    async (request) => {
      const { before, limit: pageSize = 50 } = request.query
      const page = await registry.householdLog(
        principalOf(request).accountId,
        asId<HouseholdId>(request.params.householdId),
        { limit: pageSize, before },
      )
      const person = await namePeople(vault, page.entries.flatMap(concerned))
      return {
        entries: page.entries.map((entry) => showEntry(entry, person)),
        ...(page.next === undefined ? {} : { next: page.next }),
      }
    },
  )
}

function concerned({ event: { by, account } }: LogEntry) {
  return [by, account].filter((accountId) => accountId !== undefined)
}

function showEntry(
  { seq, atMs, event }: LogEntry,
  person: (accountId: NonNullable<LogEntry['event']['by']>) => Person,
): Type.Static<typeof EntryShape> {
  const { kind, by, account, deviceId, ...details } = event
  return {
    seq,
    at: time(atMs),
    kind,
    ...(by === undefined ? {} : { by: person(by) }),
    ...(account === undefined ? {} : { account: person(account) }),
    ...(deviceId === undefined ? {} : { deviceId }),
    details,
  }
}
