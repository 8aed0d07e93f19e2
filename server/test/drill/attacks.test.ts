import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { Personal, Secret } from '../../src/core/index.ts'
import { attackRows } from '../../src/drill/attack/brute-force.ts'
import { candidatesOf } from '../../src/drill/attack/candidates.ts'
import { matchingPrivateKeys } from '../../src/drill/attack/forgeries.ts'
import { attackByJoining } from '../../src/drill/attack/joins.ts'
import { keyBeginnings, privateKeysIn } from '../../src/drill/attack/key-material.ts'
import { soughtHashes } from '../../src/drill/attack/unkeyed.ts'
import { narrowHashes, wideHashes } from '../../src/drill/attack/unkeyed-hashes.ts'
import type { Known } from '../../src/drill/known.ts'
import { compileMatcher, scan } from '../../src/drill/search/matcher.ts'

const MAC: Known = { kind: 'MAC address', whose: 'somebody', value: new Personal('02:00:5E:10:00:AF') }
const EMAIL: Known = {
  kind: 'e-mail address',
  whose: 'somebody',
  value: new Personal('Ada.Lovelace@example.org'),
}

function isFound(known: Known, data: Buffer): boolean {
  let found = false
  scan(compileMatcher(soughtHashes([known])), data, () => {
    found = true
  })
  return found
}

describe('unkeyed hashes', () => {
  it('are those that their authors publish', () => {
    const of = (name: string) => [...wideHashes, ...narrowHashes].find((hash) => hash.name === name)
    // xxHash's own test vectors, RFC 9562's cousins, and SMHasher's for Murmur 3 with seed 0.
    expect(of('xxhash64')?.of(Buffer.from('abc')).toString('hex')).toBe('44bc2cf5ad770999')
    expect(of('xxhash64')?.of(Buffer.from('Nobody inspects the spammish repetition')).toString('hex')).toBe(
      'fbcea83c8a378bf1',
    )
    expect(of('xxhash32')?.of(Buffer.from('Nobody inspects the spammish repetition')).toString('hex')).toBe(
      'e2293b2f',
    )
    expect(of('murmur3')?.of(Buffer.from('abc')).toString('hex')).toBe('b3dd93fa')
    expect(of('fnv-1a 32')?.of(Buffer.from('abc')).toString('hex')).toBe('1a47e90b')
    expect(of('adler32')?.of(Buffer.from('abc')).toString('hex')).toBe('024d0127')
    expect(of('crc32')?.of(Buffer.from('123456789')).toString('hex')).toBe('cbf43926')
  })

  it.each(['02005e1000af', '02-00-5E-10-00-AF', '0200.5e10.00af'])(
    'are found of a MAC address that was hashed as %s',
    (written) => {
      const digest = createHash('sha1').update(written).digest()
      for (const data of [
        digest,
        digest.subarray(0, 8),
        Buffer.from(digest.toString('hex')),
        Buffer.from(digest.toString('base64')),
      ]) {
        expect(isFound(MAC, Buffer.concat([randomBytes(17), data, randomBytes(9)]))).toBe(true)
      }
      // Without a key anybody can do that; with one nobody can.
      expect(isFound(MAC, createHash('sha1').update('a key').update(written).digest())).toBe(false)
    },
  )
})

describe('guessing', () => {
  const bytea = (bytes: Buffer) => `\\x${bytes.toString('hex')}`
  it('opens what is small or has its salt beside it, and leaves alone what has a key', async () => {
    const rows = [
      { table: 'codes', fields: { digest: bytea(createHash('sha256').update('042137').digest()) } },
      {
        table: 'salted',
        fields: {
          salt: 'pepper-1',
          digest: createHash('sha256').update(`pepper-1${'ada.lovelace@example.org'}`).digest('hex'),
        },
      },
      {
        table: 'keyed',
        fields: { digest: bytea(createHash('sha256').update(randomBytes(32)).update('042137').digest()) },
      },
    ]
    const { findings } = await attackRows(rows, [EMAIL], () => {})
    expect(findings.map(({ where }) => where).sort()).toEqual(['codes.digest', 'salted.digest'])
  })
})

describe('joining', () => {
  it('takes an exact time for a finding unless it is allowed, in words and in numbers, and a full hour for none', () => {
    const rows = [
      { table: 'a', fields: { at: '2026-11-24T18:00:00+00:00', exact: '2026-11-24T18:31:07.5+00:00' } },
      { table: 'b', fields: { ms: 1_795_541_717_562, hour: 1_795_539_600_000, count: 17 } },
    ]
    const where = (allowed: string[]) =>
      attackByJoining(rows, allowed).findings.map((finding) => finding.where)
    expect(where([])).toEqual(['a.exact, 1 rows', 'b.ms, 1 rows'])
    expect(where(['b.ms'])).toEqual(['a.exact, 1 rows'])
  })
})

describe('strings for the doors', () => {
  it('come from every column in turn, and bytes in the forms in which programs show them', () => {
    const bytes = randomBytes(24)
    const rows = [
      ...Array.from({ length: 50 }, () => ({
        table: 'a',
        fields: { token: randomBytes(12).toString('base64url') },
      })),
      {
        table: 'b',
        fields: { digest: `\\x${bytes.toString('hex')}`, word: 'queued', sentence: 'no token at all, this' },
      },
    ]
    const texts = candidatesOf(rows, '', 10).map(({ text }) => text)
    expect(texts).toHaveLength(10)
    expect(texts).toContain(bytes.toString('base64url'))
    expect(texts).toContain(bytes.toString('hex'))
    expect(texts.some((text) => /queued|token/.test(text))).toBe(false)
  })
})

describe('key material', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  it.each([
    ['PEM', Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)],
    ['PKCS#8', privateKey.export({ type: 'pkcs8', format: 'der' })],
    ['SEC 1', privateKey.export({ type: 'sec1', format: 'der' })],
    ['JWK', Buffer.from(JSON.stringify(privateKey.export({ format: 'jwk' })))],
  ])('is recognised as %s among other bytes, and opened', (_name, key) => {
    const data = Buffer.concat([Buffer.alloc(100, 'x'), key, Buffer.alloc(100, 'x')])
    let places = 0
    scan(compileMatcher(keyBeginnings), data, () => {
      places += 1
    })
    expect(places).toBeGreaterThan(0)
    expect(privateKeysIn(data).map((each) => each.export({ format: 'jwk' }).d)).toContain(
      privateKey.export({ format: 'jwk' }).d,
    )
  })

  it('is recognised as bare bytes by its public half', () => {
    const scalar = Buffer.from(String(privateKey.export({ format: 'jwk' }).d), 'base64url')
    const spki = publicKey.export({ type: 'spki', format: 'der' })
    expect(matchingPrivateKeys([randomBytes(32), scalar], [spki])).toBe(1)
    expect(matchingPrivateKeys([randomBytes(32)], [spki])).toBe(0)
  })

  it('of a credential is sought as bytes too', () => {
    const secret: Known = {
      kind: 'credential',
      whose: 'x',
      value: new Secret(randomBytes(32).toString('base64url')),
    }
    expect(
      isFound(secret, createHash('sha256').update(Buffer.from(secret.value.reveal(), 'base64url')).digest()),
    ).toBe(true)
  })
})
