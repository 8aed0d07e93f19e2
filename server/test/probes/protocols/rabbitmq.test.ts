import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RealServer, rabbitmq, startRabbitmq } from '../../support/real-servers/index.ts'
import { resultOf } from '../listeners.ts'

describe.skipIf(!rabbitmq.path)(`RabbitMQ's management (${rabbitmq.needs})`, () => {
  let asInstalled: RealServer
  let closed: RealServer
  beforeAll(async () => {
    asInstalled = await startRabbitmq()
    closed = await startRabbitmq({ user: { name: 'operator', password: 'a-password' } })
  }, 120_000)
  afterAll(async () => {
    await asInstalled?.close()
    await closed?.close()
  }, 60_000)

  it('is open by the password that it is installed with', async () => {
    expect(await resultOf(`rabbitmq://127.0.0.1:${asInstalled.port}`)).toMatchObject({
      ...{ verdict: 'open', how: 'default-password', protocol: 'rabbitmq-management', version: '3.10.8' },
      evidence: 'counted 0 queues as guest with a default password (asked from its own machine)',
    })
  })

  it('is protected by another', async () => {
    const protectedOne = { verdict: 'protected', product: 'RabbitMQ', protocol: 'rabbitmq-management' }
    expect(await resultOf(`rabbitmq://127.0.0.1:${closed.port}`)).toMatchObject(protectedOne)
    expect(await resultOf(`127.0.0.1:${closed.port}`)).toMatchObject(protectedOne)
  })
})
