import { describe, expect, it, vi } from 'vitest'
import { ClientError } from '../../src/client/index.ts'
import { type LiveUpdate, watchLive } from '../../src/client/live.ts'

const soon = { firstMs: 1, lastMs: 2 }
const update = 'event: update\ndata: {"kind":"events","deviceId":"d"}\n\n'
const answer = (text: string) => new Response(text)
const refusal = (status: number, code: string) => new ClientError({ status, code, message: code })

/** Gives these answers in turn, then holds the last connection open until the watcher leaves. */
function server(...answers: (Response | Error)[]) {
  return vi.fn(async (signal: AbortSignal) => {
    const next = answers.shift()
    if (next instanceof Error) throw next
    if (next) return next
    return new Response(
      new ReadableStream({
        start: (controller) =>
          signal.addEventListener('abort', () => controller.error(new TypeError('aborted')), { once: true }),
      }),
    )
  })
}

describe('watching live', () => {
  it('comes back after a broken connection, a busy server and a planned end, until it is stopped', async () => {
    const updates: LiveUpdate[] = []
    const ready = vi.fn()
    const stop = new AbortController()
    const connect = server(
      answer(`event: ready\ndata: {}\n\n${update}`),
      refusal(0, 'unreachable'),
      refusal(503, 'unavailable'),
      refusal(429, 'rate_limited'),
      answer(`event: ready\ndata: {}\n\n${update}event: end\ndata: {"why":"reconnect"}\n\n`),
    )
    const watching = watchLive(connect, (got) => updates.push(got), stop.signal, { onReady: ready }, soon)
    await vi.waitFor(() => expect(connect).toHaveBeenCalledTimes(6))
    stop.abort()
    await watching
    expect(updates).toHaveLength(2)
    expect(ready).toHaveBeenCalledTimes(2)
  })

  it.each([
    ['the access has ended', answer('event: end\ndata: {"why":"access_ended"}\n\n'), 'not_found'],
    ['the session has ended', answer('event: end\ndata: {"why":"signed_out"}\n\n'), 'unauthenticated'],
    ['the home is not there', refusal(404, 'not_found'), 'not_found'],
    ['the caller is not signed in', refusal(401, 'unauthenticated'), 'unauthenticated'],
  ])('gives up when %s', async (_why, first, code) => {
    const connect = server(first)
    const watching = watchLive(connect, () => {}, new AbortController().signal, {}, soon)
    await expect(watching).rejects.toMatchObject({ code })
    expect(connect).toHaveBeenCalledOnce()
  })

  it('comes back when the server says, after a planned end', async () => {
    const stop = new AbortController()
    const connect = server(
      answer('event: ready\ndata: {}\n\nretry: 200\nevent: end\ndata: {"why":"reconnect"}\n\n'),
    )
    const began = performance.now()
    const watching = watchLive(connect, () => {}, stop.signal, {}, { firstMs: 1, lastMs: 1_000 })
    await vi.waitFor(() => expect(connect).toHaveBeenCalledTimes(2))
    // Half of it at least: the pause is spread.
    expect(performance.now() - began).toBeGreaterThan(99)
    stop.abort()
    await watching
  })

  it('is told to read the devices again when updates were left out', async () => {
    const ready = vi.fn()
    const stop = new AbortController()
    const connect = server(answer('event: ready\ndata: {}\n\nevent: resync\ndata: {}\n\n'))
    const watching = watchLive(connect, () => {}, stop.signal, { onReady: ready }, soon)
    await vi.waitFor(() => expect(ready).toHaveBeenCalledTimes(2))
    stop.abort()
    await watching
  })

  it('a fault of the one who listens is not taken for a broken connection', async () => {
    const connect = server(answer(update))
    const watching = watchLive(
      connect,
      () => {
        throw new RangeError('a fault')
      },
      new AbortController().signal,
      {},
      soon,
    )
    await expect(watching).rejects.toThrow('a fault')
  })
})
