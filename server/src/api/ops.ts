import { type BlockList, isIP, BlockList as NodeBlockList } from 'node:net'
import { collectDefaultMetrics, Gauge, Histogram, Registry as MetricsRegistry } from 'prom-client'
import { AppError } from '../core/index.ts'
import type { App } from './app.ts'

/** What operators' own tools read: metrics. Counts and durations only, never an id. */
export interface Metrics {
  /** Measures each answer of `app` by method, route pattern and status. */
  measure(app: App): void
  text(): Promise<string>
  readonly contentType: string
}

const METRIC_NAME = /^[a-z][a-z0-9_]*$/

export function createMetrics(stats: () => Record<string, number>): Metrics {
  const registry = new MetricsRegistry()
  collectDefaultMetrics({ register: registry })
  const gauges = new Map<string, Gauge>()
  const requests = new Histogram({
    name: 'hearthlock_http_request_seconds',
    help: 'Time to answer, by route pattern',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 30],
    registers: [registry],
  })
  return {
    contentType: registry.contentType,
    measure(app) {
      app.addHook('onResponse', async (request, reply) => {
        const route = request.routeOptions.url ?? 'none'
        requests.observe(
          { method: request.method, route, status: String(reply.statusCode) },
          reply.elapsedTime / 1000,
        )
      })
    },
    async text() {
      for (const [name, value] of Object.entries(stats())) {
        if (!METRIC_NAME.test(name) || !Number.isFinite(value)) continue
        let gauge = gauges.get(name)
        if (!gauge) {
          gauge = new Gauge({
            name: `hearthlock_${name}`,
            help: name.replaceAll('_', ' '),
            registers: [registry],
          })
          gauges.set(name, gauge)
        }
        gauge.set(value)
      }
      return await registry.metrics()
    },
  }
}

/** On the loopback-only listener. */
export function opsRoutes(app: App, metrics: Metrics): void {
  app.addHook('onRequest', async (request) => {
    // A web page in a browser on this machine may point a name of its own at 127.0.0.1 (DNS rebinding).
    const name = request.hostname.replace(/^\[|\]$/g, '')
    if (name !== 'localhost' && !isLoopback(name)) throw new AppError('not_found')
  })
  app.get('/metrics', async (_request, reply) => {
    const text = await metrics.text()
    return reply.type(metrics.contentType).send(text)
  })
}

const loopback: BlockList = new NodeBlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Of an address or `localhost`; a name that only happens to resolve to loopback is not. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost') return true
  const family = isIP(host)
  return family !== 0 && loopback.check(host, family === 6 ? 'ipv6' : 'ipv4')
}
