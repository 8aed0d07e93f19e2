import { LRUCache } from 'lru-cache'
import { AppError } from './errors.ts'
import type { Log } from './log.ts'

/**
 * What is kept of one request for the next, or of one device beside others. In February 2024 a cache that mixed up ids
 * showed 13,000 people other people's homes: here each value is asked whose it is whenever it is taken out.
 */
export interface Cache<Key, Value> {
  /** @throws AppError integrity_failed when what stands there is another owner's; it is forgotten if it can be read again */
  get(key: Key): Value | undefined
  /** For what must not be missed, such as a session to end: looks through everything when `get` would throw. */
  find(key: Key): Value | undefined
  set(key: Key, value: Value): void
  delete(key: Key): void
  clear(): void
  values(): IterableIterator<Value>
  keys(): IterableIterator<Key>
  readonly size: number
}

export interface CacheOptions<Key, Value> {
  /** Of letters and underscores: part of a metric's name. */
  name: string
  /** Whether the value is this key's own, by what the value says itself. */
  belongs: (value: Value, key: Key) => boolean
  /** The least recently used goes; without it nothing is forgotten by itself. */
  max?: number | undefined
  ttlMs?: number | undefined
  nowMs?: (() => number) | undefined
}

export type Store<Key, Value> = Omit<Cache<Key, Value>, 'find'>

/** Makes all caches of a process, and counts what they got wrong. */
export interface Caches {
  create<Key extends {}, Value extends {}>(options: CacheOptions<Key, Value>): Cache<Key, Value>
  stats(): Record<string, number>
}

/** `store`: what they are kept in. A test hands in one that mixes them up. */
export function createCaches({
  log,
  store = keptInMemory,
}: {
  log: Log
  store?: <Key extends {}, Value extends {}>(options: CacheOptions<Key, Value>) => Store<Key, Value>
}): Caches {
  const wrong = new Map<string, number>()

  return {
    create<Key extends {}, Value extends {}>(options: CacheOptions<Key, Value>): Cache<Key, Value> {
      const { name, belongs, max } = options
      const kept = store(options)
      wrong.set(name, wrong.get(name) ?? 0)

      function own(key: Key): Value | undefined {
        const value = kept.get(key)
        if (value === undefined || belongs(value, key)) return value
        wrong.set(name, (wrong.get(name) ?? 0) + 1)
        log.error('a cache held the value of another owner; it was not used', { cache: name })
        if (max !== undefined) kept.delete(key)
        throw new AppError('integrity_failed', {
          detail: `the cache ${name} held the value of another owner`,
        })
      }

      return {
        get: own,
        find(key) {
          try {
            return own(key)
          } catch {
            // Counted and logged above.
            return [...kept.values()].find((value) => belongs(value, key))
          }
        },
        set: (key, value) => kept.set(key, value),
        delete: (key) => kept.delete(key),
        clear: () => kept.clear(),
        values: () => kept.values(),
        keys: () => kept.keys(),
        get size() {
          return kept.size
        },
      }
    },
    stats() {
      const stats: Record<string, number> = { cache_wrong_owner_total: 0 }
      for (const [name, count] of wrong) {
        stats[`cache_wrong_owner_${name}_total`] = count
        stats.cache_wrong_owner_total = (stats.cache_wrong_owner_total as number) + count
      }
      return stats
    },
  }
}

export function keptInMemory<Key extends {}, Value extends {}>(
  options: Pick<CacheOptions<Key, Value>, 'max' | 'ttlMs' | 'nowMs'>,
): Store<Key, Value> {
  const { max, ttlMs, nowMs } = options
  const kept =
    max === undefined
      ? new Map<Key, Value>()
      : new LRUCache<Key, Value>({
          max,
          ...(ttlMs === undefined ? {} : { ttl: ttlMs, ttlResolution: 0 }),
          ...(nowMs ? { perf: { now: nowMs } } : {}),
        })
  return {
    get: (key) => kept.get(key),
    set: (key, value) => void kept.set(key, value),
    delete: (key) => void kept.delete(key),
    clear: () => kept.clear(),
    values: () => kept.values() as IterableIterator<Value>,
    keys: () => kept.keys() as IterableIterator<Key>,
    get size() {
      return kept.size
    },
  }
}
