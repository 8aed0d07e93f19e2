import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Clock, Log } from '../core/index.ts'
import type { Exposures, Guard, Reset } from '../guard/index.ts'
import type { Home } from '../home/index.ts'
import type { Identity } from '../identity/index.ts'
import type { Insight } from '../insight/index.ts'
import type { Mail } from '../mail/index.ts'
import type { Privacy } from '../privacy/index.ts'
import type { Registry } from '../registry/index.ts'
import type { Vault } from '../vault/index.ts'
import type { Authenticate } from './authentication.ts'
import type { ApiLimits } from './limits.ts'
import type { LiveStreams } from './live-streams.ts'
import type { RateLimits } from './rate-limits.ts'

/** Fastify with types from the schemas. With TLS the raw server is https.Server, which has the same face. */
export type App = FastifyInstance<
  Server,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

/** What routes are made of. Each resource file takes what it names and adds its routes to `app`. */
export interface RouteParts {
  app: App
  authenticate: Authenticate
  limit: RateLimits
  limits: ApiLimits
  identity: Identity
  vault: Vault
  mail: Mail
  registry: Registry
  home: Home
  insight: Insight
  privacy: Privacy
  guard: Guard
  exposures: Exposures
  reset: Reset
  live: LiveStreams
  ready: () => boolean | Promise<boolean>
  /** The public URL. */
  url: () => string
  clock: Clock
  log: Log
}
