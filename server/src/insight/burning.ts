import { type Clock, type CopyId, type Database, isAppError, type Log, type Tx } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { CopyStore, StoredCopy } from './copy-store.ts'
import type { Destinations } from './destinations/destinations.ts'
import { DELIVERY_MS } from './filler.ts'
import type { InsightTables } from './tables.ts'

export interface Burning {
  /** Its key at once; nothing can be added, and no pseudonym made again. The row is locked by `tx`. */
  begin(tx: Tx, copy: StoredCopy): Promise<void>
  /** Its data, where the destination can be reached; tried again by the timer. */
  finish(copyId: CopyId): Promise<void>
  /** Of copies whose time is up, and of those that are burning. */
  due(): Promise<StoredCopy[]>
}

export function createBurning(o: {
  database: Database
  keys: Pick<Keys, 'destroy'>
  store: CopyStore
  destinations: Destinations
  clock: Clock
  log: Log
}): Burning {
  const { database, keys, store, destinations, clock, log } = o

  return {
    async begin(tx, copy) {
      await keys.destroy(tx, copy.key_id)
      await tx
        .withTables<InsightTables>()
        .deleteFrom('insight.copy_tenure')
        .where('copy_id', '=', copy.copy_id)
        .execute()
      await store.update(tx, copy.copy_id, { state: 'burning', problem: null })
    },

    async finish(copyId) {
      try {
        await database.transaction(async (tx) => {
          const copy = await store.tryLock(tx, copyId)
          if (copy?.state !== 'burning') return
          await destinations.of(copy).destroy(AbortSignal.timeout(DELIVERY_MS))
          const open = { ...copy.open, password: undefined, authorityPem: undefined }
          await store.update(tx, copyId, { state: 'burned', problem: null, open })
        })
        await destinations.forget(copyId)
      } catch (error) {
        const problem = isAppError(error) ? error.code : 'internal'
        log.warn('the data of a burned copy could not be removed yet; it will be tried again', {
          error,
          copyId,
        })
        await store.update(database.queries, copyId, { problem })
      }
    },

    async due() {
      const nowMs = clock.nowMs()
      return (await store.all()).filter(
        ({ state, expires_hour }) =>
          state === 'burning' || (state !== 'burned' && expires_hour.getTime() <= nowMs),
      )
    },
  }
}
