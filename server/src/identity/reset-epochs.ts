import { sql } from 'kysely'
import { LRUCache } from 'lru-cache'
import type { AccountId, Database, Tx } from '../core/index.ts'

/**
 * What resets have left of something that was issued. `prove_key`: it is good for nothing by itself, and whoever holds
 * the key that it is bound to may have it replaced.
 */
export type Standing = 'holds' | 'prove_key' | 'void'

/** A row that was issued: its own epoch, and the newest one, read in one statement. */
export interface Issued {
  epoch: number
  newest_epoch: number
}

/** Whose it is. A code by which somebody becomes an operator is of no account yet, nor is an unfinished sign-in. */
export type IssuedTo = AccountId | 'customers' | 'operators'

export interface ResetEpochs {
  standing(row: Issued, whose: IssuedTo, tx?: Tx): Promise<Standing>
}

/** To be selected beside a row's own `epoch`. */
export const newestEpoch = sql<number>`identity.epoch()`.as('newest_epoch')

const REMEMBERED = 50_000

interface Reach {
  latest: number
  signed_out: number
  /** The newest epoch when this was read: resets never change, so until there is a newer one it holds. */
  upTo: number
}

export function createResetEpochs({ database }: { database: Database }): ResetEpochs {
  const remembered = new LRUCache<IssuedTo, Reach>({ max: REMEMBERED })

  async function read(whose: IssuedTo, upTo: number, tx?: Tx): Promise<Reach> {
    const query =
      whose === 'customers' || whose === 'operators'
        ? sql<Reach>`select coalesce(max(epoch), 0) as latest,
            coalesce(max(epoch) filter (where not quietly), 0) as signed_out
            from identity.reset where reaches = 'everybody' or (reaches = 'customers' and ${whose === 'customers'})`
        : sql<Reach>`select latest, signed_out from identity.resets_of(${whose})`
    const { rows } = await query.execute(tx ?? database.queries)
    return { ...(rows[0] as Reach), upTo }
  }

  return {
    async standing({ epoch, newest_epoch: newest }, whose, tx) {
      // Nothing was reset since: as almost always.
      if (epoch === newest) return 'holds'
      let reach = remembered.get(whose)
      if (reach?.upTo !== newest) {
        reach = await read(whose, newest, tx)
        remembered.set(whose, reach)
      }
      if (epoch < reach.signed_out) return 'void'
      return epoch < reach.latest ? 'prove_key' : 'holds'
    },
  }
}
