import { ClientError } from './client-error.ts'

/** A server that takes longer than its own longest wait (Prefer: wait=30) is not there. */
const ANSWER_SECONDS = 45

export interface HttpRequest {
  method: string
  headers?: Record<string, string> | undefined
  body?: string | undefined
  signal?: AbortSignal | undefined
  /** For streams, which have a time-out of their own. */
  withoutTimeout?: boolean | undefined
}

/** Follows no redirects: where one is expected, the caller reads it. @throws ClientError unreachable */
export async function send(url: string | URL, request: HttpRequest): Promise<Response> {
  const signals = [
    ...(request.signal ? [request.signal] : []),
    ...(request.withoutTimeout ? [] : [AbortSignal.timeout(ANSWER_SECONDS * 1000)]),
  ]
  try {
    return await fetch(url, {
      method: request.method,
      redirect: 'manual',
      headers: request.headers ?? {},
      ...(request.body === undefined ? {} : { body: request.body }),
      ...(signals.length > 0 ? { signal: AbortSignal.any(signals) } : {}),
    })
  } catch (cause) {
    throw new ClientError({
      code: 'unreachable',
      status: 0,
      message: `Hearthlock does not answer at ${new URL(url).origin}. Is it running?`,
      cause,
    })
  }
}
