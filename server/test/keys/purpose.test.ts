import { createHmac, hkdfSync } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import {
  derivePurposeSecret,
  type KeyProvider,
  memoryKeyProvider,
  place,
  purposeKey,
} from '../../src/keys/index.ts'

const secretOf = (provider: KeyProvider, version: number) =>
  provider.versions().find((root) => root.version === version)?.secret as Buffer

describe('a purpose key', () => {
  it('is HKDF-SHA256 of the root key with the purpose as info', () => {
    const provider = memoryKeyProvider()
    const derived = Buffer.from(hkdfSync('sha256', secretOf(provider, 1), '', 'test.tokens', 96))
    const expected = createHmac('sha256', derived.subarray(32, 64)).update('value').digest()
    expect(purposeKey(provider, 'test.tokens').digest('value')).toEqual(expected)
  })

  it('digests alike for the same purpose only', () => {
    const provider = memoryKeyProvider()
    const key = purposeKey(provider, 'test.tokens')
    expect(key.digest('value')).toHaveLength(32)
    expect(purposeKey(provider, 'test.tokens').digest('value')).toEqual(key.digest('value'))
    expect(key.digest(Buffer.from('value'))).toEqual(key.digest('value'))
    expect(key.digest('other')).not.toEqual(key.digest('value'))
    expect(purposeKey(provider, 'test.codes').digest('value')).not.toEqual(key.digest('value'))
    expect(purposeKey(memoryKeyProvider(), 'test.tokens').digest('value')).not.toEqual(key.digest('value'))
  })

  it('takes a new root key version at once: seals and digests with it, opens and finds the older ones', async () => {
    const provider = memoryKeyProvider()
    const key = purposeKey(provider, 'test.tokens')
    const before = {
      sealed: key.seal(place('x'), 'old'),
      digest: key.digest('v'),
      secret: key.deriveSecret('db'),
    }

    expect(await provider.addVersion()).toBe(2)

    expect(key.unseal(place('x'), before.sealed).toString()).toBe('old')
    expect(key.seal(place('x'), 'new').readUInt16BE(1)).toBe(2)
    expect(key.digest('v')).not.toEqual(before.digest)
    expect(key.digests('v')).toEqual([key.digest('v'), before.digest])
    const secrets = key.deriveSecrets('db').map((secret) => secret.reveal())
    expect(secrets).toEqual([key.deriveSecret('db').reveal(), before.secret.reveal()])
  })

  it('derives a credential for each label, the same every time, that prints nothing', () => {
    const provider = memoryKeyProvider()
    const secret = purposeKey(provider, 'test.database').deriveSecret('password')
    expect(secret.reveal()).toMatch(/^[\w-]{43}$/)
    expect(purposeKey(provider, 'test.database').deriveSecret('password').reveal()).toBe(secret.reveal())
    expect(purposeKey(provider, 'test.database').deriveSecret('other').reveal()).not.toBe(secret.reveal())
    expect(purposeKey(provider, 'test.other').deriveSecret('password').reveal()).not.toBe(secret.reveal())
    expect(purposeKey(provider, 'test.database').digest('password').toString('base64url')).not.toBe(
      secret.reveal(),
    )
    const printed = `${secret} ${JSON.stringify({ secret })} ${inspect({ secret }, { depth: 9, showHidden: true })}`
    expect(printed).not.toContain(secret.reveal())
    expect(derivePurposeSecret(provider, 'a').reveal()).not.toBe(derivePurposeSecret(provider, 'b').reveal())
  })
})
