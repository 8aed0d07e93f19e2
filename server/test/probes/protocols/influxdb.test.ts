import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, influxdb, type RealServer, startInfluxdb } from '../../support/real-servers/index.ts'
import { resultOf } from '../listeners.ts'

describe.skipIf(!influxdb.path)(`InfluxDB 1.6 (${influxdb.needs})`, () => {
  let open: RealServer
  let closed: RealServer
  beforeAll(async () => {
    open = await startInfluxdb()
    closed = await startInfluxdb({ auth: true, tls: true })
  })
  afterAll(async () => {
    await open?.close()
    await closed?.close()
  })

  it('is open without authentication', async () => {
    const address = `influxdb://127.0.0.1:${open.port}`
    const before = await resultOf(address)
    expect(before).toMatchObject({ verdict: 'open', how: 'no-credentials', product: 'InfluxDB' })
    await ask({ port: open.port, path: '/query?q=CREATE+DATABASE+households', method: 'POST' })
    const after = await resultOf(address)
    const countOf = ({ evidence }: { evidence: string }) =>
      Number(/^counted (\d+) database/.exec(evidence)?.[1])
    expect(countOf(after)).toBe(countOf(before) + 1)
    expect(JSON.stringify(after)).not.toContain('households')
  })

  it('is protected with it, over TLS', async () => {
    const query = `/query?q=${encodeURIComponent("CREATE USER root WITH PASSWORD 'a-password' WITH ALL PRIVILEGES")}`
    await ask({ port: closed.port, path: query, method: 'POST', tls: true })
    expect(await resultOf(`influxdb://127.0.0.1:${closed.port}`)).toMatchObject({
      ...{ verdict: 'protected', product: 'InfluxDB', tls: { verified: false } },
    })
    expect(await resultOf(`127.0.0.1:${closed.port}`)).toMatchObject({
      verdict: 'protected',
      protocol: 'influxdb',
    })
  })
})
