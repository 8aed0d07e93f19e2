import Type from 'typebox'
import { AppError } from '../core/index.ts'
import { type Finding, nextSteps, whatWasFound } from '../guard/index.ts'
import type { RouteParts } from './app.ts'
import { freshSignIn, role } from './authentication.ts'
import { principalOf } from './principal.ts'
import { HumanText, Id, strict, Time, time } from './shapes.ts'

const FindingShape = strict({
  findingId: Type.Integer(),
  kind: Type.String({ description: 'open, changed, certificate, door, file, stopped or audit' }),
  state: Type.String({ description: 'open, shut (proved to be over) or closed (by an operator)' }),
  what: Type.String(),
  store: Type.String(),
  storeKey: Type.String(),
  address: Type.String(),
  evidence: Type.String(),
  openedAt: Time,
  shutAt: Type.Optional(Time),
  feedsCut: Type.Array(Type.String()),
  pages: strict({ webhook: Type.Integer(), mail: Type.Integer() }),
  acknowledged: Type.Optional(strict({ by: Id, at: Time })),
  closed: Type.Optional(strict({ by: Id, at: Time, note: Type.Optional(Type.String()) })),
  nextSteps: Type.Array(Type.String()),
})
const FindingParams = strict({ findingId: Type.String({ maxLength: 40, examples: ['12'] }) })

/** What the guard has found, and what operators do about it. */
export function findingRoutes({ app, authenticate, limit, guard, clock }: RouteParts): void {
  const tags = ['operator']
  const onCall = role('security', 'engineer')
  app.get(
    '/v1/findings',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      preHandler: [onCall],
      schema: {
        summary: 'The newest two hundred findings',
        tags,
        querystring: strict({
          all: Type.Optional(Type.Boolean({ description: 'Those that are closed, too' })),
        }),
        response: { 200: strict({ pages: Type.Boolean(), findings: Type.Array(FindingShape) }) },
      },
    },
    async (request) => {
      const findings = await guard.findings.list({ all: request.query.all ?? false })
      return { pages: guard.pages, findings: findings.map(show) }
    },
  )

  app.get(
    '/v1/findings/:findingId',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      preHandler: [onCall],
      schema: { summary: 'One finding', tags, params: FindingParams, response: { 200: FindingShape } },
    },
    async (request) => show(await guard.findings.get(idOf(request.params))),
  )

  app.post(
    '/v1/findings/:findingId/acknowledge',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      preHandler: [onCall],
      schema: {
        summary: 'Take it: nobody is paged for it any more',
        tags,
        params: FindingParams,
        response: { 200: FindingShape },
      },
    },
    async (request) =>
      show(await guard.findings.acknowledge(idOf(request.params), principalOf(request).accountId)),
  )

  app.post(
    '/v1/findings/:findingId/close',
    {
      onRequest: [authenticate.operator, limit.perAccount],
      preHandler: [role('security'), freshSignIn(clock)],
      schema: {
        summary: 'End it; with a note, when it has not been proved to be over',
        description: 'A feed that was cut stays cut until it is resumed by itself.',
        tags,
        params: FindingParams,
        body: strict({ note: Type.Optional(HumanText(500)) }),
        response: { 200: FindingShape },
      },
    },
    async (request) => {
      const findingId = idOf(request.params)
      const { note } = request.body
      return show(await guard.findings.close(findingId, principalOf(request).accountId, { note }))
    },
  )
}

/** Anything else is not there: whoever may not see findings must not be told what their numbers look like. */
function idOf({ findingId }: { findingId: string }): number {
  if (!/^[1-9]\d{0,14}$/.test(findingId)) throw new AppError('not_found')
  return Number(findingId)
}

function show(finding: Finding): Type.Static<typeof FindingShape> {
  const { findingId, kind, state, name, storeKey, address, evidence, cut, pages } = finding
  const { acknowledged, closed, shutAtMs, openedAtMs } = finding
  return {
    findingId,
    kind,
    state,
    what: whatWasFound(finding),
    store: name,
    storeKey,
    address,
    evidence,
    openedAt: time(openedAtMs),
    ...(shutAtMs !== undefined && { shutAt: time(shutAtMs) }),
    feedsCut: cut,
    pages,
    ...(acknowledged && { acknowledged: { by: acknowledged.by, at: time(acknowledged.atMs) } }),
    ...(closed && {
      closed: {
        by: closed.by,
        at: time(closed.atMs),
        ...(closed.note !== undefined && { note: closed.note }),
      },
    }),
    nextSteps: state === 'closed' ? [] : nextSteps(finding),
  }
}
