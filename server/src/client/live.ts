import { setTimeout as delay } from 'node:timers/promises'
import { ClientError, isClientError, notSignedIn } from './client-error.ts'
import { createEventParser, type ServerEvent } from './event-stream.ts'

/** What came from `/v1/households/{id}/live`. Which members are there depends on `kind`. */
export interface LiveUpdate {
  kind: 'attributes' | 'events' | 'availability' | 'command'
  deviceId: string
  seq?: number
  /** ISO 8601. */
  at?: string
  payload?: Record<string, unknown>
  command?: Record<string, unknown> & { commandId: string; command: string; state: string }
}

export interface LiveOptions {
  /** Watching has begun, anew after an interruption, or updates were left out: read the devices now. */
  onReady?: (() => void) | undefined
  /** There is something to know about the account: `GET /v1/me` tells all of it. */
  onSecurity?: ((notice: { noticeId: string; kind: string; at: string }) => void) | undefined
}

export interface Backoff {
  firstMs: number
  lastMs: number
}

/** The server sends a comment every 15 seconds; a connection silent for three times as long is dead. */
const SILENCE_MS = 45_000

/**
 * Watches until `signal` aborts; comes back after interruptions, with growing pauses.
 * @throws ClientError not_found when the access has ended, unauthenticated when the session has
 */
export async function watchLive(
  connect: (signal: AbortSignal) => Promise<Response>,
  onUpdate: (update: LiveUpdate) => void,
  signal: AbortSignal,
  { onReady = () => {}, onSecurity = () => {} }: LiveOptions = {},
  backoff: Backoff = { firstMs: 500, lastMs: 30_000 },
): Promise<void> {
  let pauseMs = 0
  while (!signal.aborted) {
    try {
      // The pause is spread, so that all who lost one server do not come back at one moment.
      if (pauseMs > 0) await delay(pauseMs * (0.5 + Math.random() / 2), undefined, { signal })
      pauseMs = Math.min(Math.max(pauseMs * 2, backoff.firstMs), backoff.lastMs)
      const ready = () => {
        pauseMs = backoff.firstMs
        onReady()
      }
      const { why, retryMs } = await readOnce(connect, { onUpdate, onSecurity, onReady: ready }, signal)
      if (why === 'access_ended')
        throw new ClientError({ code: 'not_found', status: 404, message: 'You can no longer see this home.' })
      if (why === 'signed_out') throw notSignedIn()
      // The server knows how many come back with us.
      if (retryMs !== undefined) pauseMs = Math.min(Math.max(retryMs, backoff.firstMs), backoff.lastMs)
    } catch (error) {
      if (signal.aborted) return
      if (!passes(error)) throw error
      if (isClientError(error) && error.retryAfterSeconds) pauseMs = error.retryAfterSeconds * 1000
    }
  }
}

function passes(error: unknown): boolean {
  return isClientError(error) && (error.status === 0 || error.status === 429 || error.status >= 500)
}

/** Resolves with what the server's `end` says; the reason is undefined when the connection just broke. */
async function readOnce(
  connect: (signal: AbortSignal) => Promise<Response>,
  on: { [name in keyof LiveOptions]-?: NonNullable<LiveOptions[name]> } & {
    onUpdate: (update: LiveUpdate) => void
  },
  signal: AbortSignal,
): Promise<{ why: string | undefined; retryMs: number | undefined }> {
  const silent = new AbortController()
  const watchdog = setTimeout(() => silent.abort(), SILENCE_MS)
  let why: string | undefined
  let retryMs: number | undefined
  const take = ({ event, data, retryMs: wanted }: ServerEvent): void => {
    retryMs = wanted
    if (event === 'update') on.onUpdate(JSON.parse(data))
    if (event === 'security') on.onSecurity(JSON.parse(data))
    if (event === 'ready' || event === 'resync') on.onReady()
    if (event === 'end') why = String(JSON.parse(data).why)
  }
  try {
    const response = await connect(AbortSignal.any([signal, silent.signal]))
    const parser = createEventParser(take)
    const decoder = new TextDecoder()
    for await (const bytes of response.body ?? []) {
      watchdog.refresh()
      parser.push(decoder.decode(bytes, { stream: true }))
    }
  } catch (error) {
    if (isClientError(error)) throw error
    // undici reports a broken or aborted body as a TypeError; what a listener throws is a fault of its own.
    if (!(error instanceof TypeError) && !silent.signal.aborted && !signal.aborted) throw error
  } finally {
    clearTimeout(watchdog)
  }
  return { why, retryMs }
}
