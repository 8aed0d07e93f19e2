import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSecureContext, TLSSocket } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { attempt } from '../../src/probes/attempt.ts'
import type { Observation } from '../../src/probes/observation.ts'
import { createPace } from '../../src/probes/pace.ts'
import type { Target } from '../../src/probes/target.ts'
import { makeCertificate } from '../support/real-servers/index.ts'
import { createListeners } from './listeners.ts'

const listeners = createListeners()
afterEach(() => listeners.close())

function speak(
  port: number,
  speaking: (target: Target) => Promise<Observation>,
  { milliseconds = 300, signal = new AbortController().signal } = {},
): Promise<Observation> {
  const endpoint = { address: 'here', host: '127.0.0.1', ip: '127.0.0.1', port }
  const pace = createPace({ perSecond: 10_000 })
  return attempt({ endpoint, tlsFirst: false, milliseconds, pace, signal }, speaking)
}

describe('an attempt', () => {
  it('ends when its time is over, whatever it waits for', async () => {
    const port = await listeners.listen(() => {})
    const seen = await speak(port, () => new Promise(() => {}))
    expect(seen).toMatchObject({ verdict: 'silent', silence: 'timed-out' })
  })

  it('ends when everything is called off', async () => {
    const port = await listeners.listen(() => {})
    const signal = AbortSignal.timeout(20)
    const seen = await speak(port, async (target) => (await target.connect()).read(1) as never, {
      milliseconds: 60_000,
      signal,
    })
    expect(seen.verdict).toBe('silent')
  })

  it('makes a bounded number of connections', async () => {
    let connections = 0
    const port = await listeners.listen(() => {
      connections += 1
    })
    const seen = await speak(
      port,
      async (target) => {
        for (;;) (await target.connect()).close()
      },
      { milliseconds: 20_000 },
    )
    expect(seen.verdict).toBe('other')
    expect(connections).toBeLessThanOrEqual(24)
  })

  it('that falls over is an answer that could not be understood, and leaves no connection', async () => {
    const accepted = Promise.withResolvers<Socket>()
    const port = await listeners.listen((socket) => accepted.resolve(socket.resume()))
    const seen = await speak(port, async (target) => {
      await target.connect()
      return JSON.parse('{')
    })
    expect(seen).toMatchObject({ verdict: 'other', evidence: 'the answer could not be understood' })
    await once(await accepted.promise, 'close')
  })

  it('does not take what came before the handshake for something said inside TLS', async () => {
    const port = await listeners.listen((socket) => socket.write('Sinjected'))
    const seen = await speak(port, async (target) => {
      const connection = await target.connect()
      await connection.read(1)
      await connection.banner(1_000)
      await connection.startTls()
      return { verdict: 'open', evidence: '' }
    })
    expect(seen).toMatchObject({ verdict: 'other', evidence: 'something else listens' })
  })

  it('outlives a connection in TLS that is closed before anything was read', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'hearthlock-tls-'))
    const { keyPath, certificatePath } = await makeCertificate(directory)
    const [key, cert] = await Promise.all([readFile(keyPath), readFile(certificatePath)])
    await rm(directory, { recursive: true })
    const secureContext = createSecureContext({ key, cert })
    const port = await listeners.listen((socket) => {
      const secure = new TLSSocket(socket, { isServer: true, secureContext })
      secure.on('error', () => {})
    })
    const seen = await speak(port, async (target) => {
      const connection = await target.connect({ tls: true })
      connection.close()
      // What falls over in the connection's events would be nobody's to catch.
      await connection.read(1)
      return { verdict: 'open', evidence: '' }
    })
    expect(seen).toMatchObject({ verdict: 'silent', tls: { verified: false } })
  })

  it('counts waiting for its turn not as its time', async () => {
    const port = await listeners.listen((socket) => socket.end('x'))
    const endpoint = { address: 'here', host: '127.0.0.1', ip: '127.0.0.1', port }
    const pace = createPace({ perSecond: 5 })
    const { signal } = new AbortController()
    await pace.turn(signal)
    await pace.turn(signal)
    const seen = await attempt(
      { endpoint, tlsFirst: false, milliseconds: 120, pace, signal },
      async (target) => {
        const connection = await target.connect()
        await connection.read(1)
        return { verdict: 'other', evidence: 'read' }
      },
    )
    expect(seen.evidence).toBe('read')
  })
})
