import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { defaultLimits } from '../../src/api/index.ts'
import { createLiveStreams } from '../../src/api/live-streams.ts'
import { type AccountId, newId } from '../../src/core/index.ts'

/** A response whose socket takes what it is told to take. */
function fakeResponse() {
  const written: string[] = []
  const response = Object.assign(new EventEmitter(), {
    writableLength: 0,
    takes: true,
    ended: false,
    destroyed: false,
    writeHead: vi.fn(),
    write(text: string) {
      written.push(text)
      if (!response.takes) response.writableLength += text.length
      return response.takes
    },
    end(text: string) {
      written.push(text)
      response.ended = true
      response.emit('close')
    },
    destroy() {
      response.destroyed = true
      response.emit('close')
    },
  })
  return { raw: response as unknown as ServerResponse, response, written }
}

const limits = { ...defaultLimits, liveStreamsPerAccount: 2, liveStreams: 3, liveBacklogBytes: 1000 }
const alice = newId<AccountId>()
const bob = newId<AccountId>()

describe('live streams', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('one account holds no more than its share, and gets it back when a stream closes', () => {
    const live = createLiveStreams(limits)
    const first = live.begin({ accountId: alice, sessionId: 'a', epoch: 0 })
    live.begin({ accountId: alice, sessionId: 'a', epoch: 0 })
    expect(() => live.begin({ accountId: alice, sessionId: 'a', epoch: 0 })).toThrow(/Too many live streams/)
    first.end('access_ended')
    expect(() => live.begin({ accountId: alice, sessionId: 'a', epoch: 0 })).not.toThrow()
  })

  it('all accounts together hold no more than the server allows', () => {
    const live = createLiveStreams(limits)
    live.begin({ accountId: alice, sessionId: 'a', epoch: 0 })
    live.begin({ accountId: alice, sessionId: 'a', epoch: 0 })
    live.begin({ accountId: bob, sessionId: 'b', epoch: 0 })
    expect(() => live.begin({ accountId: bob, sessionId: 'b', epoch: 0 })).toThrow(/busy/)
  })

  it('what was sent before the stream opened comes first, each event whole', () => {
    const live = createLiveStreams(limits)
    const { raw, written } = fakeResponse()
    const stream = live.begin({ accountId: alice, sessionId: 'a', epoch: 0 })
    void stream.send('update', { text: 'two\nlines' }, 7)
    stream.open(raw, {})
    void stream.send('ready', {})
    expect(written.join('')).toBe(
      ': hearthlock\n\nevent: update\nid: 7\ndata: {"text":"two\\nlines"}\n\nevent: ready\ndata: {}\n\n',
    )
  })

  it('a stream says that it lives, and ends with the lifetime of a token', () => {
    const live = createLiveStreams(limits)
    const { raw, response, written } = fakeResponse()
    live.begin({ accountId: alice, sessionId: 'a', epoch: 0 }).open(raw, {})
    vi.advanceTimersByTime(limits.liveHeartbeatSeconds * 1000)
    expect(written.at(-1)).toBe(': \n\n')
    vi.advanceTimersByTime(limits.liveSessionSeconds * 1000)
    expect(written.at(-1)).toBe('event: end\ndata: {"why":"reconnect"}\n\n')
    expect(response.ended).toBe(true)
    expect(live.count).toBe(0)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('the end of a session ends its streams and no others', () => {
    const live = createLiveStreams(limits)
    const mine = fakeResponse()
    const other = fakeResponse()
    live.begin({ accountId: alice, sessionId: 'a', epoch: 0 }).open(mine.raw, {})
    live.begin({ accountId: alice, sessionId: 'other', epoch: 0 }).open(other.raw, {})
    live.endSession('a')
    expect(mine.written.at(-1)).toContain('signed_out')
    expect(other.response.ended).toBe(false)
  })

  it('a reader that takes nothing is cut when too much waits for it', () => {
    const live = createLiveStreams(limits)
    const { raw, response } = fakeResponse()
    const stream = live.begin({ accountId: alice, sessionId: 'a', epoch: 0 })
    stream.open(raw, {})
    response.takes = false
    void stream.send('update', { text: 'x'.repeat(600) })
    expect(response.destroyed).toBe(false)
    void stream.send('update', { text: 'x'.repeat(600) })
    expect(response.destroyed).toBe(true)
  })

  it('a full socket holds its sender up until it drains, and is cut when it never does', async () => {
    const live = createLiveStreams(limits)
    const { raw, response } = fakeResponse()
    const stream = live.begin({ accountId: alice, sessionId: 'a', epoch: 0 })
    stream.open(raw, {})
    response.takes = false
    const held = stream.send('update', {})
    expect(held).toBeInstanceOf(Promise)
    response.emit('drain')
    await held
    void stream.send('update', {})
    vi.advanceTimersByTime(60_000)
    expect(response.destroyed).toBe(true)
  })

  it('a caller who hung up before the stream opened leaves nothing behind', () => {
    const live = createLiveStreams(limits)
    const { raw, response } = fakeResponse()
    const stream = live.begin({ accountId: alice, sessionId: 'a', epoch: 0 })
    response.destroyed = true
    stream.open(raw, {})
    expect(live.count).toBe(0)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('a caller who hangs up frees what the stream held', () => {
    const live = createLiveStreams(limits)
    const { raw, response } = fakeResponse()
    const stop = vi.fn()
    const stream = live.begin({ accountId: alice, sessionId: 'a', epoch: 0 })
    stream.onClose(stop)
    stream.open(raw, {})
    response.emit('close')
    expect(stop).toHaveBeenCalledOnce()
    expect(live.count).toBe(0)
    expect(vi.getTimerCount()).toBe(0)
  })
})
