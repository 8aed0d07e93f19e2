import { afterAll, describe, expect, it } from 'vitest'
import { memcached, type RealServer, startMemcached } from '../../support/real-servers/index.ts'
import { resultOf } from '../listeners.ts'

describe.skipIf(!memcached.path)(`Memcached (${memcached.needs})`, () => {
  const started: RealServer[] = []
  afterAll(() => Promise.all(started.map((server) => server.close())))
  async function start(options: Parameters<typeof startMemcached>[0]): Promise<number> {
    const server = await startMemcached(options)
    started.push(server)
    return server.port
  }

  it('that asks nobody is open', async () => {
    const port = await start({})
    const open = {
      protocol: 'memcached',
      verdict: 'open',
      how: 'no-credentials',
      evidence: 'counted 0 items',
      version: expect.stringMatching(/^1\./),
    }
    expect(await resultOf(`memcached://127.0.0.1:${port}`)).toMatchObject(open)
    expect(await resultOf(`127.0.0.1:${port}`)).toMatchObject(open)
  })

  it('that asks nobody is open in TLS too', async () => {
    const port = await start({ tls: true })
    const result = await resultOf(`memcached://127.0.0.1:${port}`)
    expect(result).toMatchObject({ verdict: 'open', tls: { verified: false } })
  })

  it('with SASL is protected', async () => {
    const port = await start({ sasl: true })
    const result = await resultOf(`memcached://127.0.0.1:${port}`)
    expect(result).toMatchObject({ verdict: 'protected', evidence: 'asks for credentials (SASL)' })
  })
})
