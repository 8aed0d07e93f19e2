import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { AppError, type Bus, type CopyId, type Tx } from '../core/index.ts'
import type { CopyStore, StoredCopy } from './copy-store.ts'
import { publicAddress } from './destinations/address.ts'
import type { Feeds } from './face.ts'
import { DELIVERY_MS, type Filler } from './filler.ts'

/** Tells every process to give up what is on its way there. */
export const STOP = 'insight.stop'

const LOOK_EVERY_MS = 20

/** The ways to stop what flows to a destination, and to let it flow again. */
export function createFeeds(o: {
  store: CopyStore
  filler: Pick<Filler, 'stop'>
  bus: Pick<Bus, 'tell'> | undefined
}): Feeds & { lockNow(tx: Tx, copyId: CopyId): Promise<StoredCopy> } {
  const { store } = o

  /**
   * The row, soon: what is on its way gives up when it is told, and by itself after a while. A process that does neither
   * (one that was stopped in the midst of it) loses its transaction; its own time is up before it can go on.
   */
  async function lockNow(tx: Tx, copyId: CopyId): Promise<StoredCopy> {
    await store.find(copyId, tx)
    o.filler.stop(copyId)
    o.bus?.tell(STOP, copyId)
    for (let waitedMs = 0; waitedMs < DELIVERY_MS + 500; waitedMs += LOOK_EVERY_MS) {
      const locked = await store.tryLock(tx, copyId)
      if (locked) return locked
      await sleep(LOOK_EVERY_MS)
    }
    await sql`
      select pg_terminate_backend(l.pid) from insight.copy c
      join pg_locks l on l.locktype = 'transactionid' and l.granted and l.transactionid = c.xmax
      where c.copy_id = ${copyId} and l.pid <> pg_backend_pid()`.execute(tx)
    return await store.lock(tx, copyId)
  }

  return {
    lockNow,

    async list() {
      const held = (await store.all()).filter(({ state }) => state !== 'burned')
      return held.map(({ copy_id: copyId, name, state, open }) => ({
        copyId,
        name,
        state,
        address: publicAddress(open.destination),
      }))
    },

    async cut(tx, copyId, reason) {
      const { state, open } = await lockNow(tx, copyId)
      // What is being removed is fed no more.
      if (state === 'burning' || state === 'burned') return
      await store.update(tx, copyId, { state: 'cut', open: { ...open, reason } })
    },

    async resume(tx, copyId) {
      const { state, open } = await store.lock(tx, copyId)
      if (state !== 'cut') throw new AppError('conflict', { message: 'This copy was not cut.' })
      await store.update(tx, copyId, {
        state: 'filling',
        problem: null,
        open: { ...open, reason: undefined },
      })
    },
  }
}
