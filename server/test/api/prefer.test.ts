import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { waitSeconds } from '../../src/api/prefer.ts'

describe('Prefer: wait (RFC 7240)', () => {
  it.each([
    ['wait=10', 10],
    ['WAIT = 10', 10],
    ['wait="10"', 10],
    ['respond-async, wait=5', 5],
    ['wait=5; foo=bar, wait=7', 5],
    ['wait=3600', 30],
    ['wait=0', 0],
    ['wait', undefined],
    ['wait=soon', undefined],
    ['wait=-1', undefined],
    ['return=minimal', undefined],
    ['', undefined],
  ])('%s means %s', (header, seconds) => {
    expect(waitSeconds(header, 30)).toBe(seconds)
  })

  it('no header can make it wait longer than allowed, or fail', () => {
    fc.assert(
      fc.property(fc.string(), (header) => {
        const seconds = waitSeconds(header, 30)
        expect(seconds === undefined || (seconds >= 0 && seconds <= 30)).toBe(true)
      }),
    )
  })
})
