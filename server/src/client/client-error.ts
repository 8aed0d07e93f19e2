/** What the server refused, in its own words, or why it could not be asked. */
export class ClientError extends Error {
  override readonly name = 'ClientError'
  /** The problem's code (docs/errors.md); `unreachable` when no answer came; `unexpected` when it made no sense. */
  readonly code: string
  /** The HTTP status; 0 without an answer. */
  readonly status: number
  readonly retryAfterSeconds: number | undefined

  constructor(o: {
    code: string
    status: number
    message: string
    retryAfterSeconds?: number | undefined
    cause?: unknown
  }) {
    super(o.message, { cause: o.cause })
    this.code = o.code
    this.status = o.status
    this.retryAfterSeconds = o.retryAfterSeconds
  }
}

export function isClientError(error: unknown, code?: string): error is ClientError {
  return error instanceof ClientError && (code === undefined || error.code === code)
}

export function notSignedIn(): ClientError {
  return new ClientError({ code: 'unauthenticated', status: 401, message: 'Sign in first.' })
}

export function unexpected(what: string, status = 0): ClientError {
  return new ClientError({
    code: 'unexpected',
    status,
    message: `The server's answer was not understood (${what}).`,
  })
}

/** Of a problem (RFC 9457), or of an OAuth error (RFC 6749 section 5.2). Consumes the body. */
export async function errorOf(response: Response): Promise<ClientError> {
  const body = (await response.json().catch(() => ({}))) as Record<string, unknown>
  const text = (name: string) => (typeof body[name] === 'string' ? body[name] : undefined)
  const retryAfter = Number(response.headers.get('retry-after'))
  const instance = text('instance')
  const said = text('detail') ?? text('title') ?? text('error_description')
  return new ClientError({
    code: text('code') ?? text('error') ?? 'unexpected',
    status: response.status,
    message: `${said ?? `The server answered with status ${response.status}.`}${instance ? ` (${instance})` : ''}`,
    retryAfterSeconds: retryAfter > 0 ? retryAfter : undefined,
  })
}
