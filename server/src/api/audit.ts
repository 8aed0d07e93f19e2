import Type from 'typebox'
import type { AuditEntry } from '../guard/index.ts'
import type { RouteParts } from './app.ts'
import { role } from './authentication.ts'
import { strict, Time, time } from './shapes.ts'

const EntryShape = strict({
  seq: Type.Integer(),
  readable: Type.Boolean({ description: 'False: somebody changed this entry, and it does not open' }),
  at: Type.Optional(Time),
  actor: Type.Optional(Type.String({ description: 'The id of an operator, or system' })),
  act: Type.Optional(Type.String()),
  subject: Type.Optional(strict({ kind: Type.String(), id: Type.String() })),
  details: Type.Optional(
    Type.Record(
      Type.String(),
      Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Array(Type.String())]),
    ),
  ),
})

const ProblemShape = strict({
  seq: Type.Integer(),
  kind: Type.String({ description: 'changed, missing or rewritten' }),
  count: Type.Optional(Type.Integer()),
})

/** What operators and the system did. Whoever may read it may not write it: entries come from acts alone. */
export function auditRoutes({ app, authenticate, limit, guard }: RouteParts): void {
  const tags = ['operator']
  app.get(
    '/v1/audit',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      preHandler: [role('security', 'engineer')],
      schema: {
        summary: 'The audit log, newest first',
        tags,
        querystring: strict({
          before: Type.Optional(Type.Integer({ minimum: 1 })),
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
        }),
        response: {
          200: strict({ entries: Type.Array(EntryShape), next: Type.Optional(Type.Integer()) }),
        },
      },
    },
    async (request) => {
      const { before, limit: wanted = 50 } = request.query
      const { entries, next } = await guard.audit.page({ before, limit: wanted })
      return { entries: entries.map(show), ...(next === undefined ? {} : { next }) }
    },
  )

  app.get(
    '/v1/audit/verification',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      preHandler: [role('security', 'engineer')],
      schema: {
        summary: 'Reads the whole log, and says whether anything was changed, taken out or cut off',
        tags,
        querystring: strict({
          noted: Type.Optional(
            Type.String({ maxLength: 64, description: 'The `head` of an earlier verification' }),
          ),
        }),
        response: {
          200: strict({
            intact: Type.Boolean(),
            entries: Type.Integer(),
            problems: Type.Array(ProblemShape),
            anchoredSeq: Type.Optional(Type.Integer()),
            head: Type.String(),
          }),
        },
      },
    },
    async (request) => await guard.audit.verify(request.query.noted),
  )
}

function show({ seq, content }: AuditEntry): Type.Static<typeof EntryShape> {
  if (!content) return { seq, readable: false }
  const { atMs, actor, act, subject, details } = content
  const shown = details && (details as Record<string, string | number | boolean | string[]>)
  return { seq, readable: true, at: time(atMs), actor, act, subject, ...(shown && { details: shown }) }
}
