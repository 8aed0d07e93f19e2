import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  asId,
  type DeviceId,
  idFromBytes,
  idToBytes,
  isId,
  newId,
  newOrderedId,
} from '../../src/core/index.ts'

describe('ids', () => {
  it('ordered ids are version 7 and sort by their time', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 47 }), fc.integer({ min: 1, max: 1e6 }), (ms, later) => {
        const first = newOrderedId<DeviceId>(ms)
        expect(first[14]).toBe('7')
        expect(['8', '9', 'a', 'b']).toContain(first[19])
        expect(first < newOrderedId<DeviceId>(ms + later)).toBe(true)
      }),
    )
  })

  it('bytes and text are two forms of one id', () => {
    const id = newId<DeviceId>()
    expect(idFromBytes(idToBytes(id))).toBe(id)
  })

  it('nothing but a lower-case UUID passes for an id', () => {
    const good = newId<DeviceId>()
    for (const bad of [
      '',
      'x',
      good.toUpperCase(),
      `${good} `,
      `${good}\n`,
      good.replaceAll('-', ''),
      `{${good}}`,
    ]) {
      expect(isId(bad)).toBe(false)
      expect(() => asId(bad)).toThrow(expect.objectContaining({ code: 'invalid_request' }))
    }
    expect(asId(good)).toBe(good)
  })
})
