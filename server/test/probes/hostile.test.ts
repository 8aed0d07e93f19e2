import type { Socket } from 'node:net'
import fc from 'fast-check'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { protocols } from '../../src/probes/index.ts'
import { createListeners, resultOf } from './listeners.ts'

const listeners = createListeners()
const { listen } = listeners
afterAll(() => listeners.close())

const VERDICTS = ['open', 'protected', 'other', 'silent']
const names = protocols.map(({ protocol }) => protocol)
const SHORT = { timeoutMilliseconds: 250 }
/** What the kernel's buffers may hold of it besides what a probe reads. */
const MOST_BYTES = 24 * 1_024 * 1_024

/** Beginnings that a probe goes on from. */
const BEGINNINGS: Record<string, Buffer> = {
  nothing: Buffer.alloc(0),
  'HTTP with chunks': Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'),
  'HTTP without an end': Buffer.from('HTTP/1.0 200 OK\r\n\r\n'),
  'a MySQL packet': Buffer.from([0x4a, 0, 0, 0, 10]),
  'an MQTT CONNACK': Buffer.from([0x20, 2, 0, 0]),
  'a NATS greeting': Buffer.from('INFO {"version":"2.9.10"}\r\n'),
  'TLS asked for and granted': Buffer.from('S'),
  'TLS asked for and refused': Buffer.from('N'),
}

/** What then comes for ever. */
const ENDLESS: Record<string, Buffer> = {
  zeros: Buffer.alloc(16_384),
  'a line without an end': Buffer.alloc(16_384, 'x'),
  'empty lines': Buffer.from('\r\n'.repeat(8_192)),
  'errors of Redis': Buffer.from('-NOAUTH\r\n'.repeat(2_000)),
  'statistics of Memcached': Buffer.from('STAT curr_items 1\r\n'.repeat(900)),
  'notices of PostgreSQL': Buffer.from('N\0\0\0\u0005x'.repeat(2_700), 'latin1'),
  'chunks of HTTP': Buffer.from('1\r\nx\r\n'.repeat(2_700)),
  'messages of NATS': Buffer.from('MSG a 1 1\r\nx\r\n'.repeat(1_100)),
  'messages of MQTT': Buffer.from('\x30\x03\0\x01a'.repeat(3_200), 'latin1'),
  'headers of HTTP': Buffer.from(`HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(2_700)}`),
}

function stream(socket: Socket, beginning: Buffer, endless: Buffer, onSent: (bytes: number) => void): void {
  socket.resume()
  socket.write(beginning)
  const push = () => {
    while (socket.writable) {
      onSent(endless.length)
      if (!socket.write(endless)) return
    }
  }
  socket.on('drain', push)
  push()
}

describe('a hostile server', () => {
  afterEach(() => listeners.close())

  it.each(Object.keys(BEGINNINGS))(
    'that begins with %s and goes on for ever is left soon',
    async (beginning) => {
      let sentBytes = 0
      let endless: Buffer = Buffer.alloc(0)
      const port = await listen((socket) =>
        stream(socket, BEGINNINGS[beginning] as Buffer, endless, (bytes) => {
          sentBytes += bytes
        }),
      )
      for (const [kind, bytes] of Object.entries(ENDLESS)) {
        endless = bytes
        for (const name of names) {
          sentBytes = 0
          const { verdict, evidence } = await resultOf(`${name}://127.0.0.1:${port}`, SHORT)
          expect(verdict, `${name}, ${kind}: ${evidence}`).not.toBe('open')
          expect(sentBytes, `${name}, ${kind}`).toBeLessThan(MOST_BYTES)
        }
      }
    },
  )

  it('that sends one byte at a time, for ever, is left when the time is over', async () => {
    const port = await listen((socket) => {
      socket.resume()
      const timer = setInterval(() => socket.write(':'), 5)
      socket.on('close', () => clearInterval(timer))
    })
    for (const name of names) {
      expect((await resultOf(`${name}://127.0.0.1:${port}`, SHORT)).verdict).toBe('other')
    }
  })

  it('that takes everything and says nothing is silent, and not identified for ever', async () => {
    const port = await listen((socket) => socket.resume())
    const result = await resultOf(`127.0.0.1:${port}`, { timeoutMilliseconds: 150 })
    expect(result).toMatchObject({ verdict: 'silent', protocol: 'unknown' })
  })

  it('that answers at random gets a verdict, whatever it says and whenever it hangs up', async () => {
    let script: { parts: Uint8Array[]; hangsUp: boolean } = { parts: [], hangsUp: true }
    const port = await listen((socket) => {
      const { parts, hangsUp } = script
      let next = 0
      const answer = () => {
        const part = parts[next]
        next += 1
        if (part) socket.write(part)
        else if (hangsUp) socket.end()
      }
      socket.on('data', answer)
      // Who waits for a greeting gets one.
      if (parts.length % 2 === 0) answer()
    })
    const beginning = fc.constantFrom(...Object.values(BEGINNINGS), ...Object.values(ENDLESS))
    const part = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      beginning.chain((bytes) => fc.nat(Math.min(300, bytes.length)).map((end) => bytes.subarray(0, end))),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...names),
        fc.array(part, { maxLength: 6 }),
        fc.boolean(),
        async (name, parts, hangsUp) => {
          script = { parts, hangsUp }
          const result = await resultOf(`${name}://127.0.0.1:${port}`, { timeoutMilliseconds: 60 })
          expect(VERDICTS).toContain(result.verdict)
          expect(result.evidence.length).toBeLessThan(200)
        },
      ),
      { numRuns: 150 },
    )
  })
})
