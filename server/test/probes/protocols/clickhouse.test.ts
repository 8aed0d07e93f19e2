import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clickhouse, type RealServer, startClickhouse } from '../../support/real-servers/index.ts'
import { resultOf } from '../listeners.ts'

describe.skipIf(!clickhouse.path)(`ClickHouse (${clickhouse.needs})`, () => {
  let open: RealServer
  let closed: RealServer
  beforeAll(async () => {
    open = await startClickhouse()
    closed = await startClickhouse({ password: 'a-password' })
  })
  afterAll(async () => {
    await open?.close()
    await closed?.close()
  })

  it.each([
    ['clickhouse', 0, undefined],
    ['clickhouse-native', 1, undefined],
    ['clickhouse', 2, { verified: false }],
    ['clickhouse-native', 3, { verified: false }],
  ])('over %s (port %i) is open without a password, and protected with one', async (protocol, port, tls) => {
    expect(await resultOf(`${protocol}://127.0.0.1:${open.ports[port]}`)).toMatchObject({
      ...{ verdict: 'open', how: 'no-credentials', product: 'ClickHouse', version: '18.16.1' },
      evidence: expect.stringMatching(/^counted [1-9]\d* tables$/),
      ...(tls && { tls }),
    })
    expect(await resultOf(`${protocol}://127.0.0.1:${closed.ports[port]}`)).toMatchObject({
      ...{ verdict: 'protected', evidence: 'asks for a password', product: 'ClickHouse' },
      ...(tls && { tls }),
    })
  })

  it.each([
    ['clickhouse', 0],
    ['clickhouse-native', 1],
    ['clickhouse', 2],
    ['clickhouse-native', 3],
  ])('is recognised as %s at a port that is not its own (%i)', async (protocol, port) => {
    const found = await resultOf(`127.0.0.1:${open.ports[port]}`)
    expect(found).toMatchObject({ verdict: 'open', protocol })
  })
})
