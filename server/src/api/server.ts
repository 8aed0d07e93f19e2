import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify'
import { AppError, isAppError, type Log, type Secret } from '../core/index.ts'
import type { App } from './app.ts'
import { boundConnectionsPerAddress } from './connections.ts'
import type { ApiLimits } from './limits.ts'
import { answerWithProblems, PROBLEM_TYPE, problemOf } from './problems.ts'
import { validateWithTypeBox } from './validation.ts'

export interface ServerOptions {
  limits: ApiLimits
  log: Log
  /** PEM. */
  tls?: { cert: string; key: Secret } | undefined
  /** Addresses or networks of proxies whose X-Forwarded-For is believed. Nobody's unless said. */
  trustedProxies?: string[] | undefined
}

/** A Fastify server with our bounds, our form of errors and the headers that every answer carries. */
export function createServer({ limits, log, tls, trustedProxies }: ServerOptions): App {
  const common = {
    logger: false,
    genReqId: () => randomUUID(),
    bodyLimit: limits.bodyBytes,
    connectionTimeout: limits.idleSeconds * 1000,
    keepAliveTimeout: limits.idleSeconds * 1000,
    requestTimeout: limits.requestSeconds * 1000,
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    trustProxy: trustedProxies && trustedProxies.length > 0 ? trustedProxies : false,
    // A body's `__proto__` or `constructor.prototype` is refused rather than dropped.
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    routerOptions: { maxParamLength: 128, caseSensitive: true },
    clientErrorHandler: refuseMalformed,
    frameworkErrors: (_error: FastifyError, _request: FastifyRequest, reply: FastifyReply) => {
      const problem = problemOf(new AppError('invalid_request'))
      void reply.code(problem.status).type(PROBLEM_TYPE).send(problem)
    },
  } as const
  // How often Node looks for requests that take too long; its own 30 s would double the time they get.
  const bounds = { maxHeaderSize: limits.headerBytes, connectionsCheckingInterval: 1_000 }
  // http and https servers have different types and one face.
  const server: unknown = tls
    ? fastify({ ...common, https: { ...contextOf(tls), ...bounds } })
    : fastify({ ...common, http: bounds })
  const app = (server as FastifyInstance).withTypeProvider<TypeBoxTypeProvider>() as unknown as App
  // Text is what a foreign page may post without asking first; bodies here are JSON.
  app.removeContentTypeParser('text/plain')

  app.server.maxConnections = limits.connections
  boundConnectionsPerAddress(app.server, limits.connectionsPerAddress, trustedProxies ?? [])
  app.server.headersTimeout = limits.requestSeconds * 1000
  validateWithTypeBox(app)
  answerWithProblems(app, log)
  carryHeaders(app, tls !== undefined)
  logAnswers(app, log)
  return app
}

/** @throws AppError start_refused when they are not a certificate and its key */
function contextOf({ cert, key }: { cert: string; key: Secret }): SecureContextOptions {
  const options: SecureContextOptions = { cert, key: key.reveal(), minVersion: 'TLSv1.2' }
  try {
    createSecureContext(options)
  } catch (cause) {
    throw new AppError('start_refused', {
      message:
        'The TLS certificate and key of the API cannot be used: both must be PEM, and belong together.',
      cause,
    })
  }
  return options
}

/**
 * No answer may be kept by a cache on the way: the few public routes say otherwise for themselves. The API serves no
 * documents that a browser should run or frame.
 */
function carryHeaders(app: App, tls: boolean): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      ...(tls ? { 'strict-transport-security': 'max-age=31536000' } : {}),
    })
  })
}

/** Route patterns, not paths; nothing of what was asked or answered. */
function logAnswers(app: App, log: Log): void {
  app.addHook('onResponse', async (request, reply) => {
    log.debug('answered', {
      method: request.method,
      route: request.routeOptions.url,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
    })
  })
}

/** What is not HTTP gets a bare answer: there is no request to answer to. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy()
    return
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
}

/** @throws AppError start_refused when the port is taken or the address is not this machine's */
export async function listen(app: App, { host, port }: { host: string; port: number }): Promise<number> {
  try {
    await app.listen({ host, port })
  } catch (error) {
    if (isAppError(error)) throw error
    const { code } = error as NodeJS.ErrnoException
    const reason = code === 'EADDRINUSE' ? 'is taken' : `cannot be opened (${code ?? 'unknown reason'})`
    throw new AppError('start_refused', { message: `Port ${port} of ${host} ${reason}.`, cause: error })
  }
  const address = app.server.address()
  if (address === null || typeof address === 'string') throw new AppError('start_refused')
  return address.port
}
