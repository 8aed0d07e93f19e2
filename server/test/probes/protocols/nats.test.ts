import { afterAll, describe, expect, it } from 'vitest'
import { nats, type RealServer, startNats } from '../../support/real-servers/index.ts'
import { resultOf } from '../listeners.ts'

describe.skipIf(!nats.path)(`NATS (${nats.needs})`, () => {
  const started: RealServer[] = []
  afterAll(() => Promise.all(started.map((server) => server.close())))
  async function start(options?: Parameters<typeof startNats>[0]): Promise<number> {
    const server = await startNats(options)
    started.push(server)
    return server.port
  }

  it('that asks nobody is open', async () => {
    const port = await start()
    const open = { protocol: 'nats', verdict: 'open', how: 'no-credentials', product: 'NATS' }
    expect(await resultOf(`nats://127.0.0.1:${port}`)).toMatchObject(open)
    expect(await resultOf(`127.0.0.1:${port}`)).toMatchObject(open)
  })

  it('that asks nobody is open in TLS too', async () => {
    const port = await start({ tls: true })
    expect(await resultOf(`nats://127.0.0.1:${port}`)).toMatchObject({
      verdict: 'open',
      tls: { verified: false },
    })
  })

  it.each([
    ['a user', ['--user', 'operator', '--pass', 'a-password-of-its-own']],
    ['a token', ['--auth', 'a-token-of-its-own']],
  ])('that asks for %s is protected', async (_, args) => {
    const port = await start({ args })
    expect(await resultOf(`nats://127.0.0.1:${port}`)).toMatchObject({
      verdict: 'protected',
      evidence: 'asks for credentials',
    })
  })
})
