import type { Selectable } from 'kysely'
import { AppError, type CopyId, type Database, isId, type Queries, type Tx } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import { publicAddress } from './destinations/address.ts'
import type { Copy } from './face.ts'
import type { CopyRow, InsightTables } from './tables.ts'
import { openTerms, sealTerms, type Terms } from './terms.ts'

export type StoredCopy = Selectable<CopyRow> & { open: Terms }

/** Rows of copies, with their terms opened. */
export interface CopyStore {
  /** By id or name; of several with one name, the one that is not burned. @throws AppError not_found */
  find(nameOrId: string, queries?: Queries | Tx): Promise<StoredCopy>
  all(): Promise<StoredCopy[]>
  insert(
    tx: Tx,
    copy: Omit<Selectable<CopyRow>, 'terms' | 'expires_hour' | 'batch'> & { open: Terms },
  ): Promise<void>
  /** The row is this transaction's, or somebody else's just now: undefined. */
  tryLock(tx: Tx, copyId: CopyId): Promise<StoredCopy | undefined>
  /** Waits for whoever has it. @throws AppError not_found */
  lock(tx: Tx, copyId: CopyId): Promise<StoredCopy>
  update(
    tx: Queries | Tx,
    copyId: CopyId,
    change: Partial<Selectable<CopyRow>> & { open?: Terms },
  ): Promise<void>
  view(copy: StoredCopy, head: number): Copy
}

export function createCopyStore({
  database,
  keys,
}: {
  database: Database
  keys: Pick<Keys, 'purpose'>
}): CopyStore {
  const key = keys.purpose('insight.copy')

  function from(queries: Queries | Tx) {
    return queries.withTables<InsightTables>().selectFrom('insight.copy').selectAll()
  }
  const opened = (row: Selectable<CopyRow>): StoredCopy => ({
    ...row,
    open: openTerms(key, row.copy_id, row.terms),
  })

  return {
    async find(nameOrId, queries = database.queries) {
      const row = await from(queries)
        .where(isId(nameOrId) ? 'copy_id' : 'name', '=', nameOrId as never)
        // 'burned' is what comes last of what there is to say of a copy.
        .orderBy((order) => order('state', '=', 'burned'))
        .limit(1)
        .executeTakeFirst()
      if (!row) throw new AppError('not_found')
      return opened(row)
    },

    async all() {
      return (await from(database.queries).orderBy('name').execute()).map(opened)
    },

    async insert(tx, { open, ...row }) {
      const terms = sealTerms(key, row.copy_id, open)
      await tx
        .withTables<InsightTables>()
        .insertInto('insight.copy')
        .values({ ...row, terms, expires_hour: hourBefore(open.expiresAtMs) })
        .execute()
    },

    async tryLock(tx, copyId) {
      const row = await from(tx).where('copy_id', '=', copyId).forUpdate().skipLocked().executeTakeFirst()
      return row && opened(row)
    },

    async lock(tx, copyId) {
      const row = await from(tx).where('copy_id', '=', copyId).forUpdate().executeTakeFirst()
      if (!row) throw new AppError('not_found')
      return opened(row)
    },

    async update(tx, copyId, { open, ...change }) {
      await tx
        .withTables<InsightTables>()
        .updateTable('insight.copy')
        .set({ ...change, ...(open && { terms: sealTerms(key, copyId, open) }) })
        .where('copy_id', '=', copyId)
        .execute()
    },

    view({ open, ...row }, head) {
      return {
        copyId: row.copy_id,
        name: row.name,
        owner: open.owner,
        purpose: open.purpose,
        fields: open.fields,
        grain: open.grain,
        minGroup: open.minGroup,
        state: row.state,
        reason: open.reason,
        problem: row.problem ?? undefined,
        destination: publicAddress(open.destination) ?? 'file',
        createdAtMs: open.createdAtMs,
        expiresAtMs: open.expiresAtMs,
        filled: row.seq,
        head,
      }
    },
  }
}

/** What a copy tells by this column: the hour. Its end comes no later than it was said. */
function hourBefore(atMs: number): Date {
  return new Date(atMs - (atMs % 3_600_000))
}
