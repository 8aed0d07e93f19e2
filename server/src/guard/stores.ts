import { randomUUID } from 'node:crypto'
import { type AccountId, AppError, type Clock, type Database, isId, type RecordAct } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import { parseAddress } from '../probes/index.ts'
import { paddedJson, parseJson } from './padded-json.ts'
import type { GuardTables } from './tables.ts'

/** What watching them can cost is bounded. */
const MAX_STORES = 500

export interface DeclaredStore {
  storeId: string
  name: string
  address: string
  note?: string
  addedBy: AccountId
  addedAtMs: number
}

export interface NewStore {
  name: string
  address: string
  note?: string | undefined
}

/** Addresses that operators declared as theirs. Nothing else is ever contacted. */
export interface Stores {
  list(): Promise<DeclaredStore[]>
  /** @throws AppError invalid_request (the address); conflict when it is there, or there are too many */
  add(store: NewStore, by: AccountId): Promise<DeclaredStore>
  /** @throws AppError not_found */
  remove(storeId: string, by: AccountId): Promise<void>
}

const storePlace = (storeId: string) => place('guard.store', storeId)

export function createStores(o: {
  database: Database
  keys: Keys
  clock: Clock
  recordAct: RecordAct
}): Stores {
  const tables = o.database.queries.withTables<GuardTables>()
  const sealing = o.keys.purpose('guard.store')

  function open({ store_id, sealed }: { store_id: string; sealed: Buffer }): DeclaredStore {
    const content = parseJson<Omit<DeclaredStore, 'storeId'>>(sealing.unseal(storePlace(store_id), sealed))
    return { storeId: store_id, ...content }
  }

  return {
    async list() {
      const rows = await tables.selectFrom('guard.store').select(['store_id', 'sealed']).execute()
      return rows.map(open).sort((a, b) => a.addedAtMs - b.addedAtMs)
    },

    async add({ name, address, note }, by) {
      const { text, scheme, host, port } = parseAddress(address)
      const storeId = randomUUID()
      const content = {
        name,
        address: text,
        ...(note !== undefined && { note }),
        addedBy: by,
        addedAtMs: o.clock.nowMs(),
      }
      // Two that add the same at once, or under an older root key: the first look finds those, the index the others.
      const digests = sealing.digests(place(scheme ?? '', host, String(port ?? '')))
      await o.database.transaction(async (tx) => {
        const within = tx.withTables<GuardTables>()
        const { count } = await within
          .selectFrom('guard.store')
          .select((eb) => eb.fn.countAll<number>().as('count'))
          .executeTakeFirstOrThrow()
        if (count >= MAX_STORES) throw conflict(`More than ${MAX_STORES} addresses cannot be watched.`)
        const known = await within
          .selectFrom('guard.store')
          .select('store_id')
          .where('address_digest', 'in', digests)
          .executeTakeFirst()
        const inserted = known
          ? undefined
          : await within
              .insertInto('guard.store')
              .values({
                store_id: storeId,
                address_digest: digests[0] as Buffer,
                sealed: sealing.seal(storePlace(storeId), paddedJson(content)),
              })
              .onConflict((conflicting) => conflicting.doNothing())
              .returning('store_id')
              .executeTakeFirst()
        if (!inserted) throw conflict('This address is watched already.')
        const subject = { kind: 'store', id: storeId }
        await o.recordAct(tx, { actor: by, act: 'stores.added', subject, details: { name, address: text } })
      })
      return { storeId, ...content }
    },

    async remove(storeId, by) {
      if (!isId(storeId)) throw new AppError('not_found')
      await o.database.transaction(async (tx) => {
        const within = tx.withTables<GuardTables>()
        const row = await within
          .deleteFrom('guard.store')
          .where('store_id', '=', storeId)
          .returning(['store_id', 'sealed'])
          .executeTakeFirst()
        if (!row) throw new AppError('not_found')
        await within.deleteFrom('guard.verdict').where('store_key', '=', `declared:${storeId}`).execute()
        const { name, address } = open(row)
        const subject = { kind: 'store', id: storeId }
        await o.recordAct(tx, { actor: by, act: 'stores.removed', subject, details: { name, address } })
      })
    },
  }
}

function conflict(message: string): AppError {
  return new AppError('conflict', { message })
}
