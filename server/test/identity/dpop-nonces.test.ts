import { describe, expect, it } from 'vitest'
import { createDpopNonces } from '../../src/identity/dpop-nonces.ts'

describe('a nonce for proofs', () => {
  const at = (nowMs: number) => {
    const clock = { ms: nowMs, nowMs: () => clock.ms }
    return { clock, nonces: createDpopNonces({ clock }) }
  }

  it('is good for at least three minutes, and for less than five', () => {
    for (const offsetMs of [0, 1, 59_999]) {
      const { clock, nonces } = at(1_800_000_000_000 + offsetMs)
      const nonce = nonces.latest()
      expect(nonces.accepts(nonce)).toBe(true)
      clock.ms += 180_000
      expect(nonces.accepts(nonce)).toBe(true)
      clock.ms += 120_000
      expect(nonces.accepts(nonce)).toBe(false)
    }
  })

  it('is another one each minute', () => {
    const { clock, nonces } = at(1_800_000_000_000)
    const first = nonces.latest()
    clock.ms += 60_000
    expect(nonces.latest()).not.toBe(first)
  })

  it.each([undefined, '', 'x'.repeat(43), 7, {}])('is not %s', (nonce) => {
    expect(at(Date.now()).nonces.accepts(nonce)).toBe(false)
  })

  it('of one process is none of another', () => {
    const nowMs = Date.now()
    expect(at(nowMs).nonces.accepts(at(nowMs).nonces.latest())).toBe(false)
  })
})
