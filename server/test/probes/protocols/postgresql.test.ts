import { afterEach, describe, expect, it } from 'vitest'
import { type RealServer, startPostgresql } from '../../support/real-servers/index.ts'
import { createListeners, resultOf } from '../listeners.ts'

describe('PostgreSQL', () => {
  const started: RealServer[] = []
  afterEach(() => Promise.all(started.splice(0).map((server) => server.close())))
  async function start(options: Parameters<typeof startPostgresql>[0]): Promise<number> {
    const server = await startPostgresql(options)
    started.push(server)
    return server.port
  }

  it('that trusts whoever comes is open, declared or not', async () => {
    const port = await start({ hba: ['host all all 127.0.0.1/32 trust'] })
    const open = {
      protocol: 'postgresql',
      verdict: 'open',
      how: 'no-credentials',
      evidence: 'counted 3 databases as postgres',
      product: 'PostgreSQL',
      version: expect.stringMatching(/^\d+\.\d+/),
    }
    expect(await resultOf(`postgres://127.0.0.1:${port}`)).toMatchObject(open)
    expect(await resultOf(`127.0.0.1:${port}`)).toMatchObject(open)
  })

  it('that trusts whoever comes in TLS only is open too', async () => {
    const port = await start({ hba: ['hostssl all all 127.0.0.1/32 trust'], tls: true })
    const result = await resultOf(`postgresql://127.0.0.1:${port}`)
    expect(result).toMatchObject({ verdict: 'open', tls: { version: 'TLSv1.3', verified: false } })
  })

  it('that trusts whoever names a role is open, though none was guessed', async () => {
    const port = await start({ hba: ['host all all 127.0.0.1/32 trust'], role: 'nobody-guesses-this' })
    const result = await resultOf(`postgresql://127.0.0.1:${port}`)
    expect(result).toMatchObject({
      verdict: 'open',
      evidence: expect.stringMatching(/^no password is asked/),
    })
  })

  it.each(['scram-sha-256', 'md5', 'password'])(
    'that asks for a password by %s is protected, and open when it is a default one',
    async (method) => {
      const hba = [`host all all 127.0.0.1/32 ${method}`]
      const own = await start({ hba, password: 'a-password-of-its-own' })
      const refused = await resultOf(`postgresql://127.0.0.1:${own}`)
      expect(refused).toMatchObject({ verdict: 'protected', evidence: expect.stringContaining('a password') })
      const known = await start({ hba, password: 'postgres' })
      const result = await resultOf(`postgresql://127.0.0.1:${known}`)
      expect(result).toMatchObject({ verdict: 'open', how: 'default-password' })
    },
  )

  it('that rejects this address is protected', async () => {
    const port = await start({ hba: ['host all all 192.0.2.1/32 trust'] })
    const result = await resultOf(`postgresql://127.0.0.1:${port}`)
    expect(result).toMatchObject({ verdict: 'protected', evidence: 'refuses by its host rules' })
  })

  it('that is full or starting says nothing about who may read', async () => {
    const listeners = createListeners()
    const refusal = Buffer.from('SFATAL\0C57P03\0Mstarting up\0RProcessStartupPacket\0\0')
    const head = Buffer.from('E\0\0\0\0', 'latin1')
    head.writeInt32BE(refusal.length + 4, 1)
    const port = await listeners.listen((socket) => {
      socket.once('data', () => {
        socket.write('N')
        socket.once('data', () => socket.end(Buffer.concat([head, refusal])))
      })
    })
    try {
      const result = await resultOf(`postgresql://127.0.0.1:${port}`)
      expect(result).toMatchObject({ verdict: 'other', evidence: 'refuses for now, with SQLSTATE 57P03' })
    } finally {
      await listeners.close()
    }
  })
})
