import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RealServer, s3proxy, startS3proxy } from '../../support/real-servers/index.ts'
import { resultOf } from '../listeners.ts'

describe.skipIf(!s3proxy.folder)(`S3Proxy (${s3proxy.needs})`, () => {
  let open: RealServer
  let byDefault: RealServer
  let closed: RealServer
  beforeAll(async () => {
    const minioadmin = { name: 'minioadmin', password: 'minioadmin' }
    ;[open, byDefault, closed] = await Promise.all([
      startS3proxy({ buckets: ['recordings', 'exports'] }),
      startS3proxy({ user: minioadmin, buckets: ['recordings'], tls: true }),
      startS3proxy({ user: { name: 'operator', password: 'a-password' } }),
    ])
  }, 120_000)
  afterAll(async () => {
    for (const each of [open, byDefault, closed]) await each?.close()
  })

  it('is open when anybody may list its buckets', async () => {
    const found = await resultOf(`s3://127.0.0.1:${open.port}`)
    expect(found).toMatchObject({ verdict: 'open', how: 'no-credentials', evidence: 'listed 2 buckets' })
    expect(JSON.stringify(found)).not.toContain('recordings')
    expect(await resultOf(`127.0.0.1:${open.port}`)).toMatchObject({ verdict: 'open', protocol: 's3' })
  })

  it('is open by a default key, over TLS', async () => {
    expect(await resultOf(`s3://127.0.0.1:${byDefault.port}`)).toMatchObject({
      ...{ verdict: 'open', how: 'default-password', tls: { verified: false } },
      evidence: 'listed 1 bucket as minioadmin with a default password',
    })
  })

  it('is protected by another', async () => {
    expect(await resultOf(`s3://127.0.0.1:${closed.port}`)).toMatchObject({
      verdict: 'protected',
      product: 'S3',
    })
    expect(await resultOf(`127.0.0.1:${closed.port}`)).toMatchObject({ verdict: 'protected', protocol: 's3' })
  })
})
