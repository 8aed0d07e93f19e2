import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { isId } from '../../src/core/index.ts'
import { type CanaryMarks, createCanaryMarks, type Mark } from '../../src/guard/canary-marks.ts'
import { type KeyProvider, memoryKeyProvider, purposeKey } from '../../src/keys/index.ts'

const DAY_MS = 86_400_000
const atMs = Date.parse('2026-11-24')
const mark: Mark = { store: 'database', atMs }

/** One root key for all runs: what holds for it holds always. */
const fixed: KeyProvider = {
  created: false,
  versions: () => versions,
  addVersion: async () => 1,
}
const versions = [{ version: 1, secret: Buffer.alloc(32, 'a key of this test') }]
const marksOf = (provider: KeyProvider): CanaryMarks =>
  createCanaryMarks({ keys: { purpose: (name) => purposeKey(provider, name) } })
const marks = marksOf(fixed)

const kinds = {
  deviceId: (of: CanaryMarks, each = mark) => of.deviceId(each, 5) as string,
  token: (of: CanaryMarks, each = mark) => of.token(each, 1).reveal(),
  password: (of: CanaryMarks, each = mark) => of.password(each).reveal(),
  code: (of: CanaryMarks, each = mark) => of.code(each),
}

describe('a mark', () => {
  it.each(Object.entries(kinds))('as %s says its store and day', (_kind, make) => {
    for (const store of ['database', 'files'] as const)
      for (const days of [0, 1, 400])
        expect(marks.recognise(make(marks, { store, atMs: atMs + days * DAY_MS + 12_345 }))).toEqual({
          store,
          atMs: atMs + days * DAY_MS,
        })
  })

  it('is found in what carries it', () => {
    const code = marks.code(mark)
    for (const text of [
      code.replace(/(.{4})(?=.)/g, '$1-'),
      ` ${code.toLowerCase()} `,
      `HEARTH:1:${code}`,
      `restore-${code.toLowerCase()}@example.org`,
      `restore-${code.toLowerCase()}.example.org`,
      `restore-${code.toLowerCase()}.example.org:8883`,
      marks.deviceId(mark, 0).toUpperCase(),
    ])
      expect(marks.recognise(text), text).toEqual(mark)
  })

  it.each(Object.entries(kinds))('as %s is none when a single character is another one', (_kind, make) => {
    const text = make(marks)
    for (const at of text.replaceAll('-', '').length ? [...text].keys() : []) {
      const before = text[at] as string
      if (before === '-') continue
      // Of a UUID, the version and what is drawn beside it carry nothing.
      if (isId(text) && at >= 14 && at <= 15) continue
      if (isId(text) && at >= 19 && at <= 20) continue
      const other = before === '7' ? '8' : '7'
      expect(marks.recognise(text.slice(0, at) + other + text.slice(at + 1)), String(at)).toBeUndefined()
    }
  })

  it('is one under the keys before a rotation, and none under those of another installation', async () => {
    const provider = memoryKeyProvider()
    const before = marksOf(provider)
    const old = kinds.token(before)
    await provider.addVersion()
    expect(before.recognise(old)).toEqual(mark)
    expect(kinds.token(before)).not.toBe(old)
    expect(before.deviceIds('database', { fromMs: atMs, toMs: atMs })).toHaveLength(32)
    for (const make of Object.values(kinds)) expect(before.recognise(make(marks))).toBeUndefined()
  })

  it('is not seen in what nobody planted, of any form and size', () => {
    for (let at = 0; at < 2_000; at++)
      for (const text of [
        randomUUID(),
        ...[8, 10, 16, 24, 32, 64].map((n) => randomBytes(n).toString('base64url')),
      ])
        expect(marks.recognise(text)).toBeUndefined()
    for (const text of ['', '@', '-', '\0', 'É'.repeat(16), '0'.repeat(100_000), '-'.repeat(511)])
      expect(marks.recognise(text)).toBeUndefined()
  })

  it('is computed again, to be left out of a count', () => {
    const ids = marks.deviceIds('database', { fromMs: atMs - 3 * DAY_MS, toMs: atMs + 5 })
    expect(new Set(ids).size).toBe(4 * 16)
    for (let which = 0; which < 16; which++) expect(ids).toContain(marks.deviceId(mark, which))
  })
})

describe('to who holds a copy', () => {
  /** How far counts are from equal shares: chi-square, as a number of standard deviations. */
  function skew(counts: readonly number[], total: number): number {
    const expected = total / counts.length
    const sum = counts.reduce((all, count) => all + (count - expected) ** 2 / expected, 0)
    const degrees = counts.length - 1
    return Math.abs(sum - degrees) / Math.sqrt(2 * degrees)
  }

  /** The worst of: each bit alone, each byte alone, each bit with the one after it. */
  function worst(samples: readonly Buffer[]): number {
    const size = (samples[0] as Buffer).length
    const bit = (sample: Buffer, at: number) => ((sample[at >> 3] as number) >> (at & 7)) & 1
    const skews: number[] = []
    for (let at = 0; at < size * 8; at++) {
      const alone = [0, 0]
      const pairs = [0, 0, 0, 0]
      for (const sample of samples) {
        const one = bit(sample, at)
        alone[one] = (alone[one] as number) + 1
        const pair = 2 * one + bit(sample, (at + 1) % (size * 8))
        pairs[pair] = (pairs[pair] as number) + 1
      }
      skews.push(skew(alone, samples.length), skew(pairs, samples.length))
    }
    for (let at = 0; at < size; at++) {
      const values = new Array<number>(256).fill(0)
      for (const sample of samples)
        values[sample[at] as number] = (values[sample[at] as number] as number) + 1
      skews.push(skew(values, samples.length))
    }
    return Math.max(...skews)
  }

  const bytesOfId = (id: string) => {
    const bytes = Buffer.from(id.replaceAll('-', ''), 'hex')
    return Buffer.concat([bytes.subarray(0, 6), bytes.subarray(7, 8), bytes.subarray(9)])
  }
  const ids = marks.deviceIds('database', { fromMs: atMs, toMs: atMs + 999 * DAY_MS })

  it('planted ids are UUIDs of version 4 whose bits are as even as those of real ones', () => {
    for (const id of ids)
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(worst(ids.map(bytesOfId))).toBeLessThan(10)
    const version = [...Array(16).keys()].map((n) => ids.filter((id) => id[15] === n.toString(16)).length)
    expect(skew(version, ids.length)).toBeLessThan(6)
  })

  it('so are tokens, passwords and codes', () => {
    const days = [...Array(4_000).keys()].map((day): Mark => ({ store: 'files', atMs: day * DAY_MS }))
    expect(worst(days.map((day) => Buffer.from(kinds.token(marks, day), 'base64url')))).toBeLessThan(12)
    expect(worst(days.map((day) => Buffer.from(kinds.password(marks, day), 'base64url')))).toBeLessThan(12)
  })

  it('the measure sees a store and a day that are not masked', () => {
    const naked = ids.map((id, at) => {
      const bytes = bytesOfId(id)
      bytes[0] = 0
      bytes.writeUInt16BE(20_000 + (at >> 4), 1)
      return bytes
    })
    expect(worst(naked)).toBeGreaterThan(100)
  })
})
