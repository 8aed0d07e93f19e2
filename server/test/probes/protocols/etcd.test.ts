import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { etcd, etcdctl, onEtcd, type RealServer, startEtcd } from '../../support/real-servers/index.ts'
import { resultOf } from '../listeners.ts'

describe.skipIf(!etcd.path || !etcdctl.path)(`etcd (${etcd.needs}, ${etcdctl.needs})`, () => {
  let server: RealServer
  beforeAll(async () => {
    server = await startEtcd()
    await onEtcd(server, ['put', 'a-key', 'private-content'])
  })
  afterAll(() => server.close())
  const probed = (port: number) => resultOf(`etcd://127.0.0.1:${port}`)

  it('that asks nobody is open, and its keys are counted, not read', async () => {
    const result = await probed(server.port)
    expect(result).toMatchObject({ verdict: 'open', how: 'no-credentials', evidence: 'counted 1 keys (v3)' })
    expect(result.product).toBe('etcd')
    expect(JSON.stringify(result)).not.toMatch(/a-key|private-content/)
  })

  it('is found behind a port of which nothing else is known', async () => {
    expect(await resultOf(`127.0.0.1:${server.port}`)).toMatchObject({ verdict: 'open', protocol: 'etcd' })
  })

  it('without a key yet is open all the same, also in TLS', async () => {
    const other = await startEtcd({ tls: true })
    try {
      const result = await probed(other.port)
      expect(result).toMatchObject({
        verdict: 'open',
        evidence: 'counted 0 keys (v3)',
        tls: { verified: false },
      })
    } finally {
      await other.close()
    }
  })

  it('with users is protected; with the password of a tutorial, and by its old API, it is open', async () => {
    const other = await startEtcd({ v2: true })
    try {
      await onEtcd(other, ['user', 'add', 'root:a-password-of-its-own'])
      await onEtcd(other, ['user', 'grant-role', 'root', 'root'])
      await onEtcd(other, ['auth', 'enable'])
      // The two APIs have users of their own: one that is protected says nothing about the other.
      expect(await probed(other.port)).toMatchObject({
        verdict: 'open',
        how: 'no-credentials',
        evidence: 'counted 0 keys and folders at the top (v2)',
      })
    } finally {
      await other.close()
    }
  })

  it.each([
    ['a-password-of-its-own', 'protected', undefined],
    ['root', 'open', 'default-password'],
  ])('whose administrator has the password %s is %s', async (password, verdict, how) => {
    const other = await startEtcd()
    try {
      await onEtcd(other, ['user', 'add', `root:${password}`])
      await onEtcd(other, ['user', 'grant-role', 'root', 'root'])
      await onEtcd(other, ['auth', 'enable'])
      const result = await probed(other.port)
      expect([result.verdict, result.how]).toEqual([verdict, how])
    } finally {
      await other.close()
    }
  })
})
