import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  etcd,
  nats,
  prometheus,
  type RealServer,
  startEtcd,
  startNats,
  startPrometheus,
} from '../../support/real-servers/index.ts'
import { resultOf } from '../listeners.ts'

describe.skipIf(!prometheus.path)(`Prometheus (${prometheus.needs})`, () => {
  let open: RealServer
  let closed: RealServer
  beforeAll(async () => {
    // htpasswd -nbB operator a-password
    const basicAuth = '$2y$05$JXpRsL2BAwKzPWpZq8VqPe6zWlAeQp6CqkQ3gXvNQ0FhJrWbVZ7Hm'
    open = await startPrometheus()
    closed = await startPrometheus({ basicAuth, tls: true })
  })
  afterAll(async () => {
    await open?.close()
    await closed?.close()
  })

  it('is open when it answers queries', async () => {
    await expect
      .poll(() => resultOf(`prometheus://127.0.0.1:${open.port}`), { timeout: 10_000 })
      .toMatchObject({ verdict: 'open', evidence: 'a query counted 1 target', product: 'Prometheus' })
    expect(await resultOf(`127.0.0.1:${open.port}`)).toMatchObject({
      verdict: 'open',
      protocol: 'prometheus',
    })
  })

  it('has metrics and debug pages that are open as well', async () => {
    expect(await resultOf(`metrics://127.0.0.1:${open.port}`)).toMatchObject({
      ...{
        verdict: 'open',
        protocol: 'metrics',
        evidence: expect.stringMatching(/^read (at least )?\d{2,} metrics$/),
      },
    })
    expect(await resultOf(`go-debug://127.0.0.1:${open.port}`)).toMatchObject({
      ...{ verdict: 'open', evidence: expect.stringContaining('offers profiles of its memory') },
    })
  })

  it('is protected with a password, over TLS', async () => {
    for (const protocol of ['prometheus', 'metrics']) {
      expect(await resultOf(`${protocol}://127.0.0.1:${closed.port}`)).toMatchObject({
        ...{ verdict: 'protected', tls: { verified: false } },
      })
    }
    expect(await resultOf(`go-debug://127.0.0.1:${closed.port}`)).toMatchObject({ verdict: 'other' })
  })
})

describe.skipIf(!nats.path)(`NATS' monitoring (${nats.needs})`, () => {
  it.each([{ tls: false }, { tls: true }])('is open to whoever reaches it (%o)', async ({ tls }) => {
    const server = await startNats({ tls, args: ['--user', 'operator', '--pass', 'a-password'] })
    try {
      for (const scheme of ['nats-monitoring://', '']) {
        expect(await resultOf(`${scheme}127.0.0.1:${server.ports[1]}`)).toMatchObject({
          ...{ verdict: 'open', protocol: 'nats-monitoring', product: 'NATS', version: '2.9.10' },
          evidence: 'counted 0 connections',
          ...(tls && { tls: { verified: false } }),
        })
      }
    } finally {
      await server.close()
    }
  })
})

describe.skipIf(!etcd.path)(`etcd's metrics (${etcd.needs})`, () => {
  it('are metrics', async () => {
    const server = await startEtcd()
    try {
      expect(await resultOf(`metrics://127.0.0.1:${server.port}`)).toMatchObject({ verdict: 'open' })
    } finally {
      await server.close()
    }
  })
})
