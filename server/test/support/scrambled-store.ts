import { type CacheOptions, keptInMemory, type Store } from '../../src/core/index.ts'

/** What caches are kept in, mixing entries up at random while switched on, as the cache client of February 2024 did. */
export function scrambledStores(share: number) {
  const state = { on: false, mixedUp: 0 }

  function store<Key extends {}, Value extends {}>(options: CacheOptions<Key, Value>): Store<Key, Value> {
    const kept = keptInMemory<Key, Value>(options)
    return {
      ...kept,
      get(key) {
        const own = kept.get(key)
        if (!state.on || own === undefined || Math.random() >= share) return own
        const others = [...kept.values()].filter((value) => value !== own)
        if (others.length === 0) return own
        state.mixedUp += 1
        return others[Math.floor(Math.random() * others.length)]
      },
      get size() {
        return kept.size
      },
    }
  }
  return { state, store }
}
