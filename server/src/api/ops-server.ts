import { AppError, type Log } from '../core/index.ts'
import { healthRoutes } from './health.ts'
import { type ApiLimits, defaultLimits } from './limits.ts'
import { createMetrics, isLoopback, opsRoutes } from './ops.ts'
import { createServer, listen } from './server.ts'

export interface OpsOptions {
  log: Log
  /** A loopback address: there is no authentication. */
  listen: { host: string; port: number }
  ready: () => boolean | Promise<boolean>
  /** Everybody's counters, for /metrics. */
  stats: () => Record<string, number>
  limits?: Partial<ApiLimits> | undefined
}

export interface Ops {
  /** @throws AppError start_refused: the port is taken, or the address is open to others */
  start(): Promise<{ opsUrl: string }>
  close(): Promise<void>
}

/** Metrics and health alone, for a process without the API. */
export function createOps({ log, listen: at, ready, stats, limits }: OpsOptions): Ops {
  const app = createServer({ limits: { ...defaultLimits, ...limits }, log })
  return {
    async start() {
      if (!isLoopback(at.host))
        throw new AppError('start_refused', {
          message: `The metrics listener takes a loopback address only, not ${at.host}.`,
        })
      opsRoutes(app, createMetrics(stats))
      healthRoutes({ app, ready })
      const port = await listen(app, at)
      return { opsUrl: `http://${at.host.includes(':') ? `[${at.host}]` : at.host}:${port}` }
    },
    close: () => app.close(),
  }
}
