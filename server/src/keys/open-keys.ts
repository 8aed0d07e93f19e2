import type { Cache, Caches, Clock, KeyId } from '../core/index.ts'
import type { StoredKey } from './stored-key.ts'

/**
 * The keys that are open in this process.
 *
 * - `cached`: at most `max` handles, each for at most `leaseMs`, so that a key that another process destroyed or
 *   rotated is read again.
 * - `live`: every handle that somebody still holds, cached or not: a destruction ends it too, and a new version
 *   reaches it. A handle that left the cache keeps working for its holders; its key is cleared from memory once
 *   nobody holds it any more (derive.ts).
 */
export class OpenKeys {
  readonly #cached: Cache<KeyId, StoredKey>
  readonly #live: Cache<KeyId, { id: KeyId; key: WeakRef<StoredKey> }>
  readonly #unheld = new FinalizationRegistry<KeyId>((id) => {
    if (!this.#live.find(id)?.key.deref()) this.#live.delete(id)
  })

  constructor(o: { max: number; leaseMs: number; clock: Clock; caches: Caches }) {
    this.#cached = o.caches.create({
      name: 'keys',
      belongs: (key, id) => key.id === id,
      max: o.max,
      ttlMs: o.leaseMs,
      nowMs: () => o.clock.nowMs(),
    })
    this.#live = o.caches.create({
      name: 'live_keys',
      belongs: (held, id) => held.id === id,
    })
  }

  cached(id: KeyId): StoredKey | undefined {
    return this.#cached.get(id)
  }

  live(id: KeyId): StoredKey | undefined {
    const key = this.#live.find(id)?.key.deref()
    return key?.ended ? undefined : key
  }

  hold(id: KeyId, key: StoredKey): void {
    this.#live.set(id, { id, key: new WeakRef(key) })
    this.#unheld.register(key, id)
  }

  cache(id: KeyId, key: StoredKey): void {
    this.#cached.set(id, key)
  }

  /** The next open reads the database; holders go on. */
  forget(id: KeyId): void {
    this.#cached.delete(id)
  }

  forgetAll(): void {
    this.#cached.clear()
  }

  /** Holders are refused from now on. */
  end(id: KeyId): void {
    this.#cached.delete(id)
    this.#live.find(id)?.key.deref()?.end('not_found')
    this.#live.delete(id)
  }

  endAll(): void {
    this.#cached.clear()
    for (const { key } of this.#live.values()) key.deref()?.end('unavailable')
    this.#live.clear()
  }

  get size(): number {
    return this.#cached.size
  }
}
