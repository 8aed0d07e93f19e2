import { afterAll, describe, expect, it } from 'vitest'
import { ferretdb, type RealServer, startFerretdb } from '../../support/real-servers/index.ts'
import { resultOf } from '../listeners.ts'

describe.skipIf(!ferretdb.path)(`MongoDB's protocol (${ferretdb.needs})`, () => {
  const started: RealServer[] = []
  afterAll(() => Promise.all(started.map((server) => server.close())))

  it('without users is open, in clear and in TLS', async () => {
    const server = await startFerretdb()
    started.push(server)
    const open = { protocol: 'mongodb', verdict: 'open', how: 'no-credentials' }
    const result = await resultOf(`mongodb://127.0.0.1:${server.port}`)
    expect(result).toMatchObject({ ...open, evidence: expect.stringMatching(/^counted \d+ databases$/) })
    expect(await resultOf(`127.0.0.1:${server.port}`)).toMatchObject(open)
    const inTls = await resultOf(`mongodb://127.0.0.1:${server.ports[1]}`)
    expect(inTls).toMatchObject({ ...open, tls: { verified: false } })
  })

  it('with users is protected', async () => {
    const server = await startFerretdb({ user: { name: 'operator', password: 'a-password-of-its-own' } })
    started.push(server)
    expect(await resultOf(`mongodb://127.0.0.1:${server.port}`)).toMatchObject({ verdict: 'protected' })
  })
})
