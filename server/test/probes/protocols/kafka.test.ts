import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { kafka, type RealServer, startKafka } from '../../support/real-servers/index.ts'
import { resultOf } from '../listeners.ts'

describe.skipIf(!kafka.folder)(`Kafka (${kafka.needs})`, () => {
  let server: RealServer
  beforeAll(async () => {
    server = await startKafka()
  }, 120_000)
  afterAll(() => server?.close())

  it('that asks nobody is open, in clear and in TLS', async () => {
    const open = { protocol: 'kafka', verdict: 'open', how: 'no-credentials', product: 'Kafka' }
    const inClear = await resultOf(`kafka://127.0.0.1:${server.ports[0]}`)
    expect(inClear).toMatchObject({ ...open, evidence: 'counted 0 topics on 1 brokers' })
    expect(await resultOf(`127.0.0.1:${server.ports[0]}`)).toMatchObject(open)
    const inTls = await resultOf(`kafka://127.0.0.1:${server.ports[1]}`)
    expect(inTls).toMatchObject({ ...open, tls: { verified: false } })
  })

  it('that asks for credentials is protected', async () => {
    const result = await resultOf(`kafka://127.0.0.1:${server.ports[2]}`)
    expect(result).toMatchObject({ verdict: 'protected', evidence: 'asks for credentials (SASL PLAIN)' })
  })
})
