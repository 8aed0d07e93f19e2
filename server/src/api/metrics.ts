import Type from 'typebox'
import type { RouteParts } from './app.ts'
import { role } from './authentication.ts'
import { strict } from './shapes.ts'

const Name = Type.String({ pattern: '^[a-z0-9-]{2,40}$' })
const metric = {
  name: Type.String(),
  title: Type.String(),
  meaning: Type.String(),
}
const MetricShape = strict({ ...metric, needs: Type.Array(Type.String()), sql: Type.String() })
const AnswerShape = strict({
  ...metric,
  chart: strict({ x: Type.String(), y: Type.String() }),
  columns: Type.Array(Type.String()),
  rows: Type.Array(Type.Array(Type.Union([Type.String(), Type.Number(), Type.Null()]))),
  hidden: Type.Integer({ description: 'rows that stand for too few devices to be shown' }),
})
const tags = ['operator']

/** What analysts ask, of copies only: nothing here reads what belongs to a household. */
export function metricRoutes({ app, authenticate, limit, insight }: RouteParts): void {
  const onRequest = [authenticate.operator, limit.perAccount]

  app.get(
    '/v1/metrics',
    {
      onRequest,
      schema: {
        summary: 'The metrics that there are, with what they mean and the fields that they need',
        tags,
        response: { 200: strict({ metrics: Type.Array(MetricShape) }) },
      },
      preHandler: [role('analyst', 'engineer', 'security')],
    },
    async () => ({
      metrics: insight.metrics.map(({ name, title, meaning, needs, sql }) => ({
        name,
        title,
        meaning,
        needs: [...needs],
        sql,
      })),
    }),
  )

  app.get(
    '/v1/copies/:copy/metrics/:metric',
    {
      onRequest,
      schema: {
        summary: 'One metric over a copy',
        tags,
        params: strict({ copy: Name, metric: Name }),
        response: { 200: AnswerShape },
      },
      preHandler: [role('analyst')],
    },
    async ({ params }) => {
      const { metric: of, ...answer } = await insight.metric(params.copy, params.metric)
      return { name: of.name, title: of.title, meaning: of.meaning, chart: of.chart, ...answer }
    },
  )
}
