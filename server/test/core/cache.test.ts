import { describe, expect, it } from 'vitest'
import { createCaches, silentLog } from '../../src/core/index.ts'
import { scrambledStores } from '../support/scrambled-store.ts'

interface Owned {
  owner: string
}

function makeCache(max?: number) {
  const { state, store } = scrambledStores(1)
  const caches = createCaches({ log: silentLog, store })
  const cache = caches.create<string, Owned>({
    name: 'test',
    belongs: ({ owner }, key) => owner === key,
    max,
  })
  cache.set('a', { owner: 'a' })
  cache.set('b', { owner: 'b' })
  return { state, caches, cache }
}

describe('a cache that mixes up its entries', () => {
  it('hands out nothing of another owner, says so, and counts it', () => {
    const { state, caches, cache } = makeCache()
    expect(cache.get('a')).toEqual({ owner: 'a' })
    state.on = true
    expect(() => cache.get('a')).toThrow(expect.objectContaining({ code: 'integrity_failed' }))
    expect(caches.stats()).toEqual({ cache_wrong_owner_total: 1, cache_wrong_owner_test_total: 1 })
    expect(cache.get('unknown')).toBeUndefined()
  })

  it('what must not be missed is found all the same', () => {
    const { state, cache } = makeCache()
    state.on = true
    expect(cache.find('b')).toEqual({ owner: 'b' })
    expect(cache.find('unknown')).toBeUndefined()
  })

  it('an entry that can be read again is forgotten, one that cannot is kept', () => {
    for (const [max, left] of [
      [10, undefined],
      [undefined, { owner: 'a' }],
    ] as const) {
      const { state, cache } = makeCache(max)
      state.on = true
      expect(() => cache.get('a')).toThrow()
      state.on = false
      expect(cache.get('a')).toEqual(left)
    }
  })

  it('forgets what was not used for longest, and what is too old', () => {
    let nowMs = 1
    const cache = createCaches({ log: silentLog }).create<string, Owned>({
      name: 'test',
      belongs: ({ owner }, key) => owner === key,
      max: 2,
      ttlMs: 1_000,
      nowMs: () => nowMs,
    })
    for (const owner of ['a', 'b', 'c']) cache.set(owner, { owner })
    expect(cache.get('a')).toBeUndefined()
    expect(cache.get('b')).toEqual({ owner: 'b' })
    nowMs = 1_002
    expect(cache.get('b')).toBeUndefined()
  })
})
