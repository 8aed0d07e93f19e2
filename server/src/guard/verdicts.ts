import type { Database } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import { paddedJson, parseJson } from './padded-json.ts'
import type { GuardTables } from './tables.ts'
import type { StoreState } from './watched.ts'

/** How each store last answered, for whoever looks next: another process, or the same after a restart. */
export interface Verdicts {
  read(): Promise<Map<string, StoreState>>
  write(storeKey: string, state: StoreState): Promise<void>
}

const verdictPlace = (storeKey: string) => place('guard.verdict', storeKey)

export function createVerdicts(o: { database: Database; keys: Keys }): Verdicts {
  const tables = o.database.queries.withTables<GuardTables>()
  const sealing = o.keys.purpose('guard.verdict')
  return {
    async read() {
      const rows = await tables.selectFrom('guard.verdict').selectAll().execute()
      return new Map(
        rows.map((row) => [
          row.store_key,
          parseJson<StoreState>(sealing.unseal(verdictPlace(row.store_key), row.sealed)),
        ]),
      )
    },
    async write(storeKey, state) {
      const sealed = sealing.seal(verdictPlace(storeKey), paddedJson(state))
      await tables
        .insertInto('guard.verdict')
        .values({ store_key: storeKey, sealed })
        .onConflict((conflict) => conflict.column('store_key').doUpdateSet({ sealed }))
        .execute()
    },
  }
}
