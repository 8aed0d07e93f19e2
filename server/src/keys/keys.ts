import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import {
  AppError,
  type Bus,
  type Caches,
  type Clock,
  createCaches,
  type Database,
  isAppError,
  isId,
  type KeyId,
  type Log,
  newId,
  type Tx,
} from '../core/index.ts'
import { KEY_BYTES } from './derive.ts'
import { checkInstallation } from './installation.ts'
import { createNonces } from './nonces.ts'
import { OpenKeys } from './open-keys.ts'
import type { KeyProvider } from './provider.ts'
import { purposeKey } from './purpose.ts'
import type { PurposeKey, SealingKey } from './sealing-key.ts'
import { KeyMaterial, StoredKey } from './stored-key.ts'
import {
  eraseWrapped,
  insertVersion,
  type KeyKind,
  lockStale,
  lockVersions,
  readSettledVersions,
  readVersions,
  replaceWrapped,
  type WrappedKey,
  wrappedKeyPlace,
} from './wrapped-keys.ts'

export interface KeysOptions {
  provider: KeyProvider
  database: Database
  clock: Clock
  log: Log
  /** Brings what other processes destroy and rotate; without it they are noticed within the lease. */
  bus?: Pick<Bus, 'subscribe' | 'onGap'> | undefined
  /** What open keys are kept in. */
  caches?: Caches | undefined
  /** How many at most. */
  cacheSize?: number
  /** After this long a cached key is read again: the bound for a destruction or rotation by another process. */
  leaseSeconds?: number
}

export interface Keys {
  /** @throws AppError root_key_refused when the database belongs to another root key */
  start(): Promise<void>
  /** Ends every open key. */
  close(): Promise<void>
  purpose(name: string): PurposeKey
  /**
   * A new random 256-bit key, stored only wrapped: by `wrappedBy` (a tenure's key by its household's), else by the
   * root. It can be opened at once, also before `tx` commits.
   * @throws AppError not_found when the wrapping key is unknown or destroyed
   */
  create(tx: Tx, o: { kind: KeyKind; subject: string; wrappedBy?: KeyId | undefined }): Promise<KeyId>
  /**
   * The handle may be kept: it follows rotations, and refuses with `not_found` once the key is destroyed.
   * @param tx reads within this transaction what is not yet cached; do not keep that handle beyond it
   * @throws AppError not_found when the key is unknown or destroyed; integrity_failed when its row was tampered with
   */
  open(id: KeyId, tx?: Tx): Promise<SealingKey>
  /**
   * Erases the key and all keys that it wraps: what they sealed is gone for good. In this process every handle
   * refuses from now on, before `tx` commits; when `tx` rolls back, `open` gives a new one.
   * PostgreSQL drops the old bytes at its next vacuum, and archives of its log when they expire: until then they
   * can be opened by who holds the root key, too, and by nobody else.
   * @throws AppError not_found when there has never been such a key
   */
  destroy(tx: Tx, id: KeyId): Promise<void>
  /** A new version seals from the commit on (in other processes, within the lease); older versions still open. */
  rotate(tx: Tx, id: KeyId): Promise<void>
  /** Wraps under the newest root key version what older ones still wrap. Runs beside everything else; repeatable. */
  rewrap(onProgress?: (done: number) => void): Promise<number>
  stats(): Record<string, number>
}

const REWRAP_BATCH = 500
const REMEMBERED_DESTRUCTIONS = 100_000

export function createKeys(options: KeysOptions): Keys {
  const { provider, database, clock, log } = options
  const caches = options.caches ?? createCaches({ log })
  const nonces = createNonces()
  const openKeys = new OpenKeys({
    max: options.cacheSize ?? 50_000,
    leaseMs: (options.leaseSeconds ?? 300) * 1000,
    caches,
    clock,
  })
  const purposes = new Map<string, PurposeKey>()
  const opening = caches.create<KeyId, { id: KeyId; key: Promise<StoredKey> }>({
    name: 'opening_keys',
    belongs: (begun, id) => begun.id === id,
  })
  /**
   * Keys whose destruction this process began, maybe not yet committed. A read that began before the commit could
   * bring such a key back into the cache, so it is read only past row locks (`readSettledVersions`), until that
   * read shows how the transaction ended.
   */
  const destroying = new LRUCache<KeyId, object>({ max: REMEMBERED_DESTRUCTIONS })
  const counts = { opened: 0, failed: 0 }

  function purpose(name: string): PurposeKey {
    let key = purposes.get(name)
    if (!key) {
      key = purposeKey(provider, name, nonces)
      purposes.set(name, key)
    }
    return key
  }
  const rootWrapping = purpose('keys.wrap')

  async function unwrap(key: WrappedKey, tx?: Tx): Promise<Buffer> {
    if (!key.wrapped) throw new AppError('not_found')
    const at = wrappedKeyPlace(key)
    if (key.wrapped_by === null) return rootWrapping.unseal(at, key.wrapped)
    return (await openStored(key.wrapped_by, tx)).unwrap(at, key.wrapped)
  }

  async function wrap(
    key: Omit<WrappedKey, 'wrapped' | 'root_version'>,
    raw: Buffer,
    tx: Tx,
  ): Promise<WrappedKey> {
    const at = wrappedKeyPlace(key)
    if (key.wrapped_by === null) {
      // The version first: were a root key version added in between, the row would name the older one and be rewrapped again.
      const root_version = newestRootVersion()
      return { ...key, root_version, wrapped: rootWrapping.seal(at, raw) }
    }
    const parent = await openStored(key.wrapped_by, tx)
    return { ...key, root_version: null, wrapped: parent.wrap(at, raw) }
  }

  async function toHandle(id: KeyId, versions: WrappedKey[], tx?: Tx): Promise<StoredKey> {
    if (versions.length === 0 || versions.some((version) => !version.wrapped)) {
      openKeys.end(id)
      throw new AppError('not_found')
    }
    const raws: [number, Buffer][] = []
    for (const version of versions) raws.push([version.version, await unwrap(version, tx)])
    return tx ? fill(new StoredKey(id, new KeyMaterial(), nonces), raws) : hold(id, raws)
  }

  function hold(id: KeyId, raws: [number, Buffer][]): StoredKey {
    const live = openKeys.live(id)
    const key = fill(live ?? new StoredKey(id, new KeyMaterial(), nonces), raws)
    if (!live) openKeys.hold(id, key)
    return key
  }

  function fill(key: StoredKey, raws: [number, Buffer][]): StoredKey {
    for (const [version, raw] of raws) key.material.add(version, raw)
    return key
  }

  async function openStored(id: KeyId, tx?: Tx): Promise<StoredKey> {
    const cached = openKeys.cached(id)
    if (cached) return cached
    // What a transaction sees may be rolled back: a handle of its own, that nobody shares.
    if (tx) return toHandle(id, await readVersions(tx, id), tx)
    const begun = opening.get(id)
    if (begun !== undefined) return begun.key
    const reading = read(id).finally(() => {
      if (opening.find(id)?.key === reading) opening.delete(id)
    })
    opening.set(id, { id, key: reading })
    return reading
  }

  async function read(id: KeyId): Promise<StoredKey> {
    counts.opened++
    for (;;) {
      const mark = destroying.get(id)
      const versions = await (mark ? readSettledVersions : readVersions)(database.queries, id)
      if (mark && versions.length === 0) throw new AppError('not_found')
      const key = await toHandle(id, versions)
      // A destruction began while we read: what we hold may be a key that is gone.
      if (destroying.get(id) !== mark) {
        key.end('not_found')
        continue
      }
      if (mark) destroying.delete(id)
      openKeys.cache(id, key)
      return key
    }
  }

  /** Reads again what a handle of this process may go on without. */
  async function changedElsewhere(id: KeyId): Promise<void> {
    openKeys.forget(id)
    if (!openKeys.live(id)) return
    const versions = await readVersions(database.queries, id)
    if (versions.length === 0 || versions.some((version) => !version.wrapped)) openKeys.end(id)
  }

  let stopListening: (() => void)[] = []

  function listen(): void {
    const { bus } = options
    if (!bus) return
    stopListening = [
      bus.subscribe('keys.changed', async ({ payload }) => {
        if (isId(payload)) await changedElsewhere(payload as KeyId)
      }),
      bus.onGap(async () => openKeys.forgetAll()),
    ]
  }

  function newestRootVersion(): number {
    return provider.versions()[0]?.version ?? 0
  }

  function drop(id: KeyId): void {
    destroying.set(id, {})
    openKeys.end(id)
  }

  return {
    purpose,

    async start() {
      listen()
      await checkInstallation({ provider, database, clock, checking: purpose('keys.installation') })
    },

    async close() {
      for (const stop of stopListening) stop()
      openKeys.endAll()
    },

    async create(tx, { kind, subject, wrappedBy }) {
      if (wrappedBy !== undefined) {
        const parent = await lockVersions(tx, wrappedBy)
        if (parent.length === 0 || parent.some((version) => !version.wrapped)) throw new AppError('not_found')
      }
      const id = newId<KeyId>()
      const raw = randomBytes(KEY_BYTES)
      const row = await wrap({ id, version: 1, kind, subject, wrapped_by: wrappedBy ?? null }, raw, tx)
      await insertVersion(tx, row, clock.nowMs())
      openKeys.cache(id, hold(id, [[1, raw]]))
      return id
    },

    async open(id, tx) {
      try {
        return await openStored(id, tx)
      } catch (error) {
        if (isAppError(error, 'integrity_failed')) {
          counts.failed++
          log.error('a wrapped key did not open', { keyId: id })
        }
        throw error
      }
    },

    async destroy(tx, id) {
      drop(id)
      for (const gone of await eraseWrapped(tx, id, clock.nowMs())) drop(gone)
    },

    async rotate(tx, id) {
      await lockVersions(tx, id)
      // Read anew: a rotation that this one waited for has added a row that the locking read could not see.
      const [newest] = await readVersions(tx, id)
      if (!newest?.wrapped) throw new AppError('not_found')
      const { kind, subject, wrapped_by } = newest
      const next = { id, version: newest.version + 1, kind, subject, wrapped_by }
      const raw = randomBytes(KEY_BYTES)
      await insertVersion(tx, await wrap(next, raw, tx), clock.nowMs())
      raw.fill(0)
      // Not taken into the open handle: were `tx` rolled back, what it sealed in between would be lost.
      opening.delete(id)
      openKeys.forget(id)
    },

    async rewrap(onProgress = () => {}) {
      const rootVersion = newestRootVersion()
      let done = 0
      for (;;) {
        const count = await database.transaction(async (tx) => {
          const stale = await lockStale(tx, rootVersion, REWRAP_BATCH)
          const fresh: { id: KeyId; version: number; wrapped: Buffer }[] = []
          for (const key of stale) {
            const raw = await unwrap(key)
            fresh.push({
              id: key.id,
              version: key.version,
              wrapped: rootWrapping.seal(wrappedKeyPlace(key), raw),
            })
            raw.fill(0)
          }
          if (fresh.length > 0) await replaceWrapped(tx, rootVersion, fresh)
          return fresh.length
        })
        if (count === 0) return done
        done += count
        onProgress(done)
      }
    },

    stats: () => ({
      keys_cached: openKeys.size,
      keys_read_total: counts.opened,
      keys_refused_total: counts.failed,
    }),
  }
}
