import Type from 'typebox'
import { type AccountId, AppError, asId, type Clock, isAppError } from '../core/index.ts'
import {
  type AffectedList,
  type Notice,
  type ReportKind,
  reportKinds,
  reportMarkdown,
} from '../guard/index.ts'
import type { Vault } from '../vault/index.ts'
import type { RouteParts } from './app.ts'
import { freshSignIn, role } from './authentication.ts'
import { principalOf } from './principal.ts'
import { Id, strict, Time, time } from './shapes.ts'

const ListShape = strict({
  affectedId: Id,
  store: Type.String(),
  from: Time,
  to: Time,
  madeAt: Time,
  by: Id,
  finding: Type.Optional(Type.Integer()),
  people: Type.Integer(),
  households: Type.Integer(),
  devices: Type.Integer(),
  tenures: Type.Integer(),
  fields: Type.Array(strict({ name: Type.String(), people: Type.Integer() })),
})

const PersonShape = strict({
  accountId: Id,
  erased: Type.Boolean(),
  name: Type.Optional(Type.String()),
  email: Type.Optional(Type.String()),
  tenures: Type.Integer(),
  fields: Type.Array(Type.String()),
})

const NoticeShape = strict({
  noticeId: Id,
  affectedId: Id,
  state: Type.String({ description: 'draft, sending or sent' }),
  template: Type.String(),
  locale: Type.String(),
  by: Id,
  people: Type.Integer(),
  written: Type.Integer(),
  waiting: Type.Integer(),
  gone: Type.Integer({ description: 'Erased since' }),
  elsewhere: Type.Integer({ description: 'Written to by another notice about the same list' }),
})

const tags = ['operator']
const PAGE = 500

/** Whom an exposure touched, letters to them, and drafts for authorities: for security officers. */
export function exposureRoutes(parts: RouteParts): void {
  affectedRoutes(parts)
  noticeRoutes(parts)
}

function affectedRoutes({ app, authenticate, limit, exposures, vault, clock }: RouteParts): void {
  const onRequest = [authenticate.operator, limit.perAccount]
  const preHandler = [role('security')]
  const params = strict({ affectedId: Id })

  app.post(
    '/v1/affected',
    {
      onRequest,
      preHandler,
      schema: {
        summary: 'List exactly whose data was in a store, and which fields',
        tags,
        body: strict({
          store: Type.String({ minLength: 1, maxLength: 200, description: 'A copy, by its name or id' }),
          from: Type.Optional(
            Type.String({ maxLength: 40, description: 'A time; the beginning unless said' }),
          ),
          to: Type.Optional(Type.String({ maxLength: 40, description: 'A time; now unless said' })),
          finding: Type.Optional(Type.Integer({ minimum: 1 })),
        }),
        response: { 201: ListShape },
      },
    },
    async (request, reply) => {
      const { store, from, to, finding } = request.body
      const window = { store, fromMs: from === undefined ? 0 : moment(from), toMs: toOf(to, clock) }
      const list = await exposures.affected.make(window, principalOf(request).accountId, finding)
      return reply.code(201).send(showList(list))
    },
  )

  app.get(
    '/v1/affected',
    {
      onRequest,
      preHandler,
      schema: {
        summary: 'The lists that were made, newest first',
        tags,
        response: { 200: strict({ lists: Type.Array(ListShape) }) },
      },
    },
    async () => ({ lists: (await exposures.affected.list()).map(showList) }),
  )

  app.get(
    '/v1/affected/:affectedId',
    {
      onRequest,
      preHandler,
      schema: { summary: 'One list, in numbers', tags, params, response: { 200: ListShape } },
    },
    async ({ params: { affectedId } }) => showList(await exposures.affected.get(affectedId)),
  )

  app.get(
    '/v1/affected/:affectedId/people',
    {
      onRequest,
      preHandler: [...preHandler, freshSignIn(clock)],
      schema: {
        summary: 'The people of a list, with names and addresses; each look is in the audit log',
        tags,
        params,
        querystring: strict({ after: Type.Optional(Id) }),
        response: { 200: strict({ people: Type.Array(PersonShape), next: Type.Optional(Id) }) },
      },
    },
    async (request) => {
      const after = request.query.after === undefined ? undefined : asId<AccountId>(request.query.after)
      const by = principalOf(request).accountId
      const page = await exposures.affected.people(request.params.affectedId, by, { after, limit: PAGE })
      const people = await Promise.all(
        page.map(async (person) => ({ ...person, ...(await personOf(vault, person.accountId)) })),
      )
      const next = page.length === PAGE ? page.at(-1)?.accountId : undefined
      return { people, ...(next !== undefined && { next }) }
    },
  )

  app.get(
    '/v1/affected/:affectedId/report',
    {
      onRequest,
      preHandler,
      schema: {
        summary: 'A draft of what the law asks for, filled with what is known',
        tags,
        params,
        querystring: strict({
          kind: Type.Optional(
            Type.Union(
              reportKinds.map((kind) => Type.Literal(kind)),
              { description: 'For whom; gdpr-33 unless said' },
            ),
          ),
        }),
        response: {
          200: strict({
            kind: Type.String(),
            title: Type.String(),
            to: Type.String(),
            due: Type.String(),
            dueAt: Type.Optional(Time),
            sections: Type.Array(
              strict({
                heading: Type.String(),
                source: Type.String(),
                known: Type.Array(Type.String()),
                missing: Type.Array(Type.String()),
              }),
            ),
            markdown: Type.String(),
          }),
        },
      },
    },
    async (request) => {
      const kind: ReportKind = request.query.kind ?? 'gdpr-33'
      const { affectedId } = request.params
      const report = await exposures.report(affectedId, kind, principalOf(request).accountId)
      const { dueAtMs, ...rest } = report
      return {
        ...rest,
        ...(dueAtMs !== undefined && { dueAt: time(dueAtMs) }),
        markdown: reportMarkdown(report),
      }
    },
  )
}

function noticeRoutes({ app, authenticate, limit, exposures, clock }: RouteParts): void {
  const onRequest = [authenticate.operator, limit.perAccount]
  const preHandler = [role('security')]
  const params = strict({ noticeId: Id })

  app.post(
    '/v1/notices',
    {
      onRequest,
      preHandler,
      schema: {
        summary: 'Draft a letter to everybody on a list; nobody is written to yet',
        tags,
        body: strict({
          affectedId: Id,
          template: Type.Optional(Type.String({ maxLength: 10_000 })),
          locale: Type.Optional(Type.String({ maxLength: 35 })),
        }),
        response: { 201: NoticeShape },
      },
    },
    async (request, reply) =>
      reply
        .code(201)
        .send(showNotice(await exposures.notices.draft(request.body, principalOf(request).accountId))),
  )

  app.get(
    '/v1/notices',
    {
      onRequest,
      preHandler,
      schema: {
        summary: 'Notices, newest first',
        tags,
        response: { 200: strict({ notices: Type.Array(NoticeShape) }) },
      },
    },
    async () => ({ notices: (await exposures.notices.list()).map(showNotice) }),
  )

  app.get(
    '/v1/notice-template',
    {
      onRequest,
      preHandler,
      schema: {
        summary: 'The usual letter, to edit',
        tags,
        response: { 200: strict({ template: Type.String() }) },
      },
    },
    async () => ({ template: exposures.notices.template() }),
  )

  app.get(
    '/v1/notices/:noticeId',
    {
      onRequest,
      preHandler,
      schema: { summary: 'How far a notice is', tags, params, response: { 200: NoticeShape } },
    },
    async ({ params: { noticeId } }) => showNotice(await exposures.notices.get(noticeId)),
  )

  app.get(
    '/v1/notices/:noticeId/preview',
    {
      onRequest,
      preHandler,
      schema: {
        summary: 'The letter to the first person of the list',
        tags,
        params,
        response: { 200: strict({ lines: Type.Array(Type.String()) }) },
      },
    },
    async ({ params: { noticeId } }) => ({
      lines: (await exposures.notices.preview(noticeId)).lines.map((line) => line.reveal()),
    }),
  )

  app.post(
    '/v1/notices/:noticeId/send',
    {
      onRequest,
      preHandler: [...preHandler, freshSignIn(clock)],
      schema: {
        summary: 'Write to everybody on the list who has not been written to; it goes on by itself',
        tags,
        params,
        response: { 202: NoticeShape },
      },
    },
    async (request, reply) => {
      const notice = await exposures.notices.send(request.params.noticeId, principalOf(request).accountId)
      return reply.code(202).send(showNotice(notice))
    },
  )
}

async function personOf(vault: Pick<Vault, 'read'>, accountId: AccountId) {
  try {
    const { name, email } = await vault.read(accountId)
    return { erased: false, name: name.reveal(), email: email.reveal() }
  } catch (error) {
    if (isAppError(error, 'not_found')) return { erased: true }
    throw error
  }
}

/** The end of the window. Later than now is now: nothing has gone in since. */
function toOf(to: string | undefined, clock: Clock): number {
  return Math.min(clock.nowMs(), to === undefined ? Number.POSITIVE_INFINITY : moment(to))
}

const MOMENT = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/

function moment(text: string): number {
  const ms = MOMENT.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(ms) || ms < 0) {
    throw new AppError('invalid_request', {
      message: 'A time is written as 2026-01-31 or 2026-01-31T12:00:00Z.',
    })
  }
  return ms
}

function showList(list: AffectedList): Type.Static<typeof ListShape> {
  const { fromMs, toMs, madeAtMs, findingId, ...rest } = list
  return {
    ...rest,
    from: time(fromMs),
    to: time(toMs),
    madeAt: time(madeAtMs),
    ...(findingId !== undefined && { finding: findingId }),
  }
}

function showNotice(notice: Notice): Type.Static<typeof NoticeShape> {
  return { ...notice }
}
