import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AppError, type KeyId, silentLog, systemClock } from '../../src/core/index.ts'
import {
  createKeys,
  keysMigrations,
  memoryKeyProvider,
  place,
  purposeKey,
  SEAL_OVERHEAD_BYTES,
  type SealingKey,
} from '../../src/keys/index.ts'
import { createTestDatabase } from '../support/database.ts'

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
/** Any UTF-16 at all, lone surrogates too. */
const text = fc
  .array(
    fc.oneof(fc.constantFrom('"', ',', '\\', '[', ']', '\u0000', '\ud800', '\udc00', 'é'), fc.string()),
    {
      maxLength: 5,
    },
  )
  .map((parts) => parts.join(''))
const places = fc.array(text, { maxLength: 4 }).map((parts) => place(...parts))

describe('place', () => {
  it('gives different lists of parts different strings, in UTF-8 too', () => {
    const parts = fc.array(text, { maxLength: 4 })
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const same = JSON.stringify(a) === JSON.stringify(b)
        expect(Buffer.from(place(...a)).equals(Buffer.from(place(...b)))).toBe(same)
      }),
    )
  })

  it('can be taken apart again, so that no two lists share one', () => {
    fc.assert(
      fc.property(fc.array(text), (parts) => {
        expect(JSON.parse(place(...parts))).toEqual(parts)
      }),
    )
  })

  it.each([
    [['a', 'b'], ['ab']],
    [['a', ''], ['a']],
    [['a","b'], ['a', 'b']],
    [['\ud800'], ['\ufffd']],
    [[], ['']],
  ])('tells %j from %j', (a, b) => {
    expect(Buffer.from(place(...a))).not.toEqual(Buffer.from(place(...b)))
  })
})

describe.each(['a stored key', 'a purpose key'])('what %s sealed', (which) => {
  let key: SealingKey
  let otherKey: SealingKey
  let drop = async () => {}

  beforeAll(async () => {
    if (which === 'a purpose key') {
      const provider = memoryKeyProvider()
      key = purposeKey(provider, 'test.one')
      otherKey = purposeKey(provider, 'test.two')
      return
    }
    const database = await createTestDatabase([keysMigrations])
    const keys = createKeys({ provider: memoryKeyProvider(), database, clock: systemClock, log: silentLog })
    await keys.start()
    const make = (subject: string): Promise<KeyId> =>
      database.transaction((tx) => keys.create(tx, { kind: 'household', subject }))
    key = await keys.open(await make('one'))
    otherKey = await keys.open(await make('two'))
    drop = () => database.drop()
  })
  afterAll(() => drop())

  function refusal(work: () => unknown): string {
    try {
      work()
    } catch (error) {
      return (error as AppError).code ?? String(error)
    }
    return 'opened'
  }

  it('opens again, bytes and text', () => {
    fc.assert(
      fc.property(places, bytes, (at, plain) => {
        expect(key.unseal(at, key.seal(at, plain))).toEqual(plain)
      }),
    )
    fc.assert(
      fc.property(places, fc.string({ unit: 'binary' }), (at, plain) => {
        expect(key.unseal(at, key.seal(at, plain)).toString()).toBe(plain)
      }),
    )
  })

  it('is as long as the plain value and 31 bytes, and starts with its format', () => {
    fc.assert(
      fc.property(places, bytes, (at, plain) => {
        const sealed = key.seal(at, plain)
        expect(sealed.length).toBe(plain.length + SEAL_OVERHEAD_BYTES)
        expect([...sealed.subarray(0, 3)]).toEqual([1, 0, 1])
      }),
    )
  })

  it('does not open with any bit flipped', () => {
    fc.assert(
      fc.property(places, bytes, fc.nat(), (at, plain, where) => {
        const sealed = key.seal(at, plain)
        const bit = where % (sealed.length * 8)
        sealed[bit >> 3] = (sealed[bit >> 3] as number) ^ (1 << (bit & 7))
        expect(refusal(() => key.unseal(at, sealed))).toBe('integrity_failed')
      }),
    )
    const every = key.seal(place('all'), 'short')
    for (let bit = 0; bit < every.length * 8; bit++) {
      const flipped = Buffer.from(every)
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
      expect(refusal(() => key.unseal(place('all'), flipped))).toBe('integrity_failed')
    }
  })

  it('does not open at another place', () => {
    fc.assert(
      fc.property(places, places, bytes, (at, elsewhere, plain) => {
        fc.pre(at !== elsewhere)
        expect(refusal(() => key.unseal(elsewhere, key.seal(at, plain)))).toBe('integrity_failed')
      }),
    )
  })

  it('does not open with another key', () => {
    fc.assert(
      fc.property(places, bytes, (at, plain) => {
        expect(refusal(() => otherKey.unseal(at, key.seal(at, plain)))).toBe('integrity_failed')
      }),
    )
  })

  it('does not open as another version', () => {
    fc.assert(
      fc.property(places, bytes, fc.integer({ min: 0, max: 65_535 }), (at, plain, version) => {
        fc.pre(version !== 1)
        const sealed = key.seal(at, plain)
        sealed.writeUInt16BE(version, 1)
        expect(refusal(() => key.unseal(at, sealed))).toBe('integrity_failed')
      }),
    )
  })

  it('does not open cut short, lengthened or empty, and arbitrary bytes are refused alike', () => {
    fc.assert(
      fc.property(places, bytes, fc.nat(), (at, plain, nat) => {
        const sealed = key.seal(at, plain)
        const length = nat % sealed.length
        expect(refusal(() => key.unseal(at, sealed.subarray(0, length)))).toBe('integrity_failed')
        expect(refusal(() => key.unseal(at, sealed.subarray(sealed.length - length)))).toBe(
          'integrity_failed',
        )
        expect(refusal(() => key.unseal(at, Buffer.concat([sealed, Buffer.alloc(1)])))).toBe(
          'integrity_failed',
        )
        expect(refusal(() => key.unseal(at, plain))).toBe('integrity_failed')
      }),
    )
    expect(refusal(() => key.unseal('', Buffer.alloc(0)))).toBe('integrity_failed')
    expect(refusal(() => key.unseal('', null as unknown as Buffer))).toBe('integrity_failed')
  })

  it('never repeats a nonce, and the same value twice looks different', () => {
    const seen = new Set<string>()
    for (let i = 0; i < 5_000; i++) seen.add(key.seal(place('x'), 'same').subarray(3, 15).toString('hex'))
    expect(seen.size).toBe(5_000)
  })

  it('is not changed by what is sealed later', () => {
    const first = key.seal(place('x'), 'first')
    for (let i = 0; i < 2_000; i++) key.seal(place('x'), 'later')
    expect(key.unseal(place('x'), first).toString()).toBe('first')
  })
})
