import Type from 'typebox'
import { AppError } from '../core/index.ts'
import type { App } from './app.ts'
import { strict } from './shapes.ts'

const Status = strict({ status: Type.Literal('ok') })

/** Alive: the process answers. Ready: it can do its work now. Both say no more than that to strangers. */
export function healthRoutes({ app, ready }: { app: App; ready: () => boolean | Promise<boolean> }): void {
  app.get(
    '/healthz',
    { exposeHeadRoute: true, schema: { summary: 'Alive', tags: ['public'], response: { 200: Status } } },
    async (_request, reply) => {
      reply.header('cache-control', 'no-cache')
      return { status: 'ok' } as const
    },
  )
  app.get(
    '/readyz',
    {
      exposeHeadRoute: true,
      schema: { summary: 'Ready to serve', tags: ['public'], response: { 200: Status } },
    },
    async (_request, reply) => {
      reply.header('cache-control', 'no-cache')
      if (!(await ready())) throw new AppError('unavailable', { retryAfterSeconds: 5 })
      return { status: 'ok' } as const
    },
  )
}
