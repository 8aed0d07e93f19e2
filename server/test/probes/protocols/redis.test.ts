import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RealServer, redis, startRedis } from '../../support/real-servers/index.ts'
import { resultOf } from '../listeners.ts'

/** One inline command; its answer's first line. */
function tell(port: number, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${line}\r\n`))
    socket.once('error', reject)
    socket.once('data', (data) => {
      socket.destroy()
      resolve(data.toString('utf8').trim())
    })
  })
}

describe.skipIf(!redis.path)(`Redis (${redis.needs})`, () => {
  let server: RealServer
  beforeAll(async () => {
    server = await startRedis({ tls: true })
    await tell(server.port, 'SET a-key private-content')
  })
  afterAll(() => server.close())

  it('that asks nobody is open, and its keys are counted, not read', async () => {
    const result = await resultOf(`redis://127.0.0.1:${server.port}`)
    expect(result).toMatchObject({ verdict: 'open', how: 'no-credentials', evidence: 'counted 1 keys' })
    expect(result).toMatchObject({ product: 'Redis', version: expect.stringMatching(/^\d+\.\d+/) })
    expect(JSON.stringify(result)).not.toMatch(/private-content|a-key/)
  })

  it('is found behind a port of which nothing else is known', async () => {
    expect(await resultOf(`127.0.0.1:${server.port}`)).toMatchObject({ verdict: 'open', protocol: 'redis' })
  })

  it('is found in TLS, and its certificate noted as one that a client would refuse', async () => {
    const tls = { verified: false, version: 'TLSv1.3', problem: 'DEPTH_ZERO_SELF_SIGNED_CERT' }
    expect(await resultOf(`redis://127.0.0.1:${server.ports[1]}`)).toMatchObject({ verdict: 'open', tls })
    expect(
      await resultOf(`localhost:${server.ports[1]}`, { resolve: async () => ['127.0.0.1'] }),
    ).toMatchObject({ verdict: 'open', protocol: 'redis', tls })
  })

  it('leaves no key behind', async () => {
    await resultOf(`redis://127.0.0.1:${server.port}`)
    expect(await tell(server.port, 'DBSIZE')).toBe(':1')
  })

  it.each([
    ['asks for a password', ['requirepass a-password-of-its-own'], 'protected', undefined],
    ['has a default password', ['requirepass foobared'], 'open', 'default-password'],
    ['denies its default user everything', ['user default on nopass ~* -@all +auth'], 'protected', undefined],
    ['switches its default user off', ['user default off'], 'protected', undefined],
    [
      'lets its default user read keys',
      ['user default on nopass ~* -@all +exists'],
      'open',
      'anonymous-role',
    ],
  ])('that %s is told', async (_, settings, verdict, how) => {
    const other = await startRedis({ settings })
    try {
      const result = await resultOf(`redis://127.0.0.1:${other.port}`)
      expect([result.verdict, result.how]).toEqual([verdict, how])
    } finally {
      await other.close()
    }
  })

  it('that wants a client certificate is protected', async () => {
    const other = await startRedis({ tls: true, settings: ['tls-auth-clients yes'] })
    try {
      const result = await resultOf(`redis://127.0.0.1:${other.ports[1]}`)
      expect(result).toMatchObject({ verdict: 'protected', evidence: "asks for a client's certificate" })
    } finally {
      await other.close()
    }
  })
})
