import type { ServerResponse } from 'node:http'
import { type AccountId, AppError } from '../core/index.ts'
import type { ApiLimits } from './limits.ts'

/** Why a live stream was ended by us. With `reconnect` the caller may come back at once with a fresh token. */
export type LiveEnd = 'reconnect' | 'signed_out' | 'access_ended' | 'too_slow'

/** For a socket that is full to take something again, before its stream is cut. */
const STALL_SECONDS = 60

/** One open stream of server-sent events (WHATWG HTML, section 9.2). */
export interface LiveStream {
  /** Events sent before `open` wait for it. While the socket is full, a promise for when it has drained. */
  send(event: string, data: object, id?: number): void | Promise<void>
  open(raw: ServerResponse, headers: Record<string, string | string[] | number | undefined>): void
  /** `retryMs`: when the caller should come back, for `EventSource` as well (section 9.2.6, `retry`). */
  end(why: LiveEnd, retryMs?: number): void
  /** Nothing is sent any more, until `unmute`; what is left out meanwhile must be read again. */
  mute(): void
  unmute(): void
  /** Whether somebody reads it: an answer that is not a stream of events only takes a place. */
  readonly isOpen: boolean
  /** Called once, when the stream has ended from either side. */
  onClose(callback: () => void): void
}

/** All live streams of this process: bounded in number, per account, in waiting bytes and in time. */
export interface LiveStreams {
  /** @throws AppError rate_limited when this account has enough streams, unavailable when the server has */
  begin(o: { accountId: AccountId; sessionId: string; epoch: number }): LiveStream
  /** Those that were begun with a token of an epoch before this one. */
  before(epoch: number): { accountId: AccountId; stream: LiveStream }[]
  /** The sessions that have a stream open for this account. */
  sessionsOf(accountId: AccountId): string[]
  endSession(sessionId: string, why?: LiveEnd): void
  /** To every stream of the account, once for each id. */
  tell(accountId: AccountId, notice: { noticeId: string; kind: string; at: string }): void
  close(): void
  readonly count: number
}

interface OpenStream {
  accountId: AccountId
  sessionId: string
  epoch: number
  stream: LiveStream
  /** The last notice that went out on it. */
  told: string | undefined
}

type LiveLimits = Pick<
  ApiLimits,
  'liveStreams' | 'liveStreamsPerAccount' | 'liveBacklogBytes' | 'liveHeartbeatSeconds' | 'liveSessionSeconds'
>

export function createLiveStreams(limits: LiveLimits): LiveStreams {
  const streams = new Set<OpenStream>()
  const perAccount = new Map<AccountId, number>()

  return {
    begin({ accountId, sessionId, epoch }) {
      const held = perAccount.get(accountId) ?? 0
      if (held >= limits.liveStreamsPerAccount)
        throw new AppError('rate_limited', {
          message: 'Too many live streams are open on this account.',
          retryAfterSeconds: 30,
        })
      if (streams.size >= limits.liveStreams) throw new AppError('unavailable', { retryAfterSeconds: 30 })
      perAccount.set(accountId, held + 1)
      const stream = createStream(limits)
      const entry: OpenStream = { accountId, sessionId, epoch, stream, told: undefined }
      streams.add(entry)
      stream.onClose(() => {
        streams.delete(entry)
        const left = (perAccount.get(accountId) ?? 1) - 1
        if (left > 0) perAccount.set(accountId, left)
        else perAccount.delete(accountId)
      })
      return stream
    },
    before: (epoch) => [...streams].filter((open) => open.epoch < epoch),
    endSession(sessionId, why = 'signed_out') {
      for (const open of [...streams]) if (open.sessionId === sessionId) open.stream.end(why)
    },
    sessionsOf(accountId) {
      const own = [...streams].filter((open) => open.accountId === accountId)
      return [...new Set(own.map(({ sessionId }) => sessionId))]
    },
    tell(accountId, notice) {
      for (const open of streams) {
        if (open.accountId !== accountId || open.told === notice.noticeId) continue
        open.told = notice.noticeId
        void open.stream.send('security', notice)
      }
    },
    close() {
      for (const { stream } of [...streams]) stream.end('reconnect')
    },
    get count() {
      return streams.size
    },
  }
}

function createStream(limits: LiveLimits): LiveStream {
  let raw: ServerResponse | undefined
  let closed = false
  let muted = false
  let waiting = ''
  const callbacks: (() => void)[] = []
  const timers: NodeJS.Timeout[] = []

  function closeOnce(): void {
    if (closed) return
    closed = true
    for (const timer of timers) clearTimeout(timer)
    for (const callback of callbacks) callback()
  }
  function write(text: string): void | Promise<void> {
    if (closed) return
    const full = raw ? !raw.write(text) : false
    if (!raw) waiting += text
    const backlog = raw ? raw.writableLength : waiting.length
    if (backlog > limits.liveBacklogBytes) return end('too_slow')
    if (full && raw) return drained(raw)
  }
  function drained(socket: ServerResponse): Promise<void> {
    return new Promise((resolve) => {
      const stalled = setTimeout(() => end('too_slow'), STALL_SECONDS * 1000)
      const done = () => {
        clearTimeout(stalled)
        socket.off('drain', done).off('close', done)
        resolve()
      }
      socket.on('drain', done).on('close', done)
    })
  }
  function end(why: LiveEnd, retryMs?: number): void {
    if (closed) return
    closeOnce()
    if (!raw) return
    // A socket that takes nothing would hold the farewell, and our memory, for ever.
    if (why === 'too_slow') raw.destroy()
    else raw.end(`${retryMs === undefined ? '' : `retry: ${retryMs}\n`}${format('end', { why })}`)
  }
  return {
    get isOpen() {
      return raw !== undefined
    },
    mute() {
      muted = true
      waiting = ''
    },
    unmute() {
      if (!muted) return
      muted = false
      void write(format('resync', {}))
    },
    send(event, data, id) {
      if (!muted) return write(format(event, data, id))
    },
    open(response, headers) {
      raw = response
      raw.on('close', closeOnce)
      // The caller may have gone while access was being checked: then no `close` will come any more.
      if (closed || raw.destroyed) {
        closeOnce()
        raw.destroy()
        return
      }
      raw.writeHead(200, { ...headers, 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' })
      // Unconditional, so that the headers leave now and not with the first update.
      raw.write(`: hearthlock\n\n${waiting}`)
      waiting = ''
      timers.push(
        setInterval(() => void write(': \n\n'), limits.liveHeartbeatSeconds * 1000),
        setTimeout(() => end('reconnect'), limits.liveSessionSeconds * 1000),
      )
    },
    end,
    onClose(callback) {
      if (closed) callback()
      else callbacks.push(callback)
    },
  }
}

/** JSON.stringify leaves no line break inside, so one `data:` line holds it all. */
function format(event: string, data: object, id?: number): string {
  return `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`
}
