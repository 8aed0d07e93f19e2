import {
  AppError,
  type CopyId,
  type Database,
  idFromBytes,
  idToBytes,
  type TenureId,
  type Tx,
} from '../core/index.ts'
import { type Keys, type PurposeKey, place } from '../keys/index.ts'
import type { Ledger, Touched } from './face.ts'
import { HOUR_MS } from './observation.ts'
import type { InsightTables } from './tables.ts'

/** Whose, and which fields: by tenure. */
export type Entries = Map<TenureId, Set<string>>

interface At {
  copyId: CopyId
  batch: number
  atMs: number
}

export interface LedgerBook extends Ledger {
  /** Before a batch may leave. Of one that was prepared before, what both name counts. */
  prepare(tx: Tx, at: At, entries: Entries): Promise<void>
  /** It was delivered: with exactly these, or with what was prepared, when it had arrived before. */
  settle(tx: Tx, at: At, entries: Entries | undefined): Promise<void>
  /** It never arrived, and never will. */
  withdraw(tx: Tx, at: Omit<At, 'atMs'>): Promise<void>
}

const ID_BYTES = 16

/**
 * One sealed row for a batch: names of its fields, then each tenure's 16 bytes with a bit for each field. Sealed under the
 * root key rather than the copy's own, for it is needed most when the copy has just been burned.
 */
export function createLedger({
  database,
  keys,
}: {
  database: Database
  keys: Pick<Keys, 'purpose'>
}): LedgerBook {
  const key = keys.purpose('insight.ledger')

  async function read(tx: Tx, copyId: CopyId, batch: number): Promise<Entries | undefined> {
    const row = await tx
      .withTables<InsightTables>()
      .selectFrom('insight.ledger')
      .select('sealed')
      .where('copy_id', '=', copyId)
      .where('batch', '=', batch)
      .forUpdate()
      .executeTakeFirst()
    return row && open(key, copyId, batch, row.sealed)
  }

  return {
    async prepare(tx, { copyId, batch, atMs }, entries) {
      const both = merge(await read(tx, copyId, batch), entries)
      await tx
        .withTables<InsightTables>()
        .insertInto('insight.ledger')
        .values({
          copy_id: copyId,
          batch,
          hour: hourOf(atMs),
          settled_hour: null,
          sealed: seal(key, copyId, batch, both),
        })
        .onConflict((conflict) =>
          conflict
            .columns(['copy_id', 'batch'])
            .doUpdateSet((excluded) => ({ sealed: excluded.ref('excluded.sealed') })),
        )
        .execute()
    },

    async settle(tx, { copyId, batch, atMs }, entries) {
      const hour = hourOf(atMs)
      const settled = {
        settled_hour: hour,
        ...(entries && { hour, sealed: seal(key, copyId, batch, entries) }),
      }
      const { numUpdatedRows } = await tx
        .withTables<InsightTables>()
        .updateTable('insight.ledger')
        .set(settled)
        .where('copy_id', '=', copyId)
        .where('batch', '=', batch)
        .executeTakeFirst()
      // It was written before the first byte left; without it nobody would know whom that byte was about.
      if (numUpdatedRows !== 1n)
        throw new AppError('integrity_failed', { detail: 'a batch is not in the ledger' })
    },

    async withdraw(tx, { copyId, batch }) {
      await tx
        .withTables<InsightTables>()
        .deleteFrom('insight.ledger')
        .where('copy_id', '=', copyId)
        .where('batch', '=', batch)
        .where('settled_hour', 'is', null)
        .execute()
    },

    async touched(copyId, from = 0, to = Number.MAX_SAFE_INTEGER) {
      const all: Entries = new Map()
      for (let after = 0; ; ) {
        const rows = await database.queries
          .withTables<InsightTables>()
          .selectFrom('insight.ledger')
          .select(['batch', 'hour', 'settled_hour', 'sealed'])
          .where('copy_id', '=', copyId)
          .where('batch', '>', after)
          .orderBy('batch')
          .limit(500)
          .execute()
        const last = rows.at(-1)
        if (!last) break
        after = last.batch
        for (const { batch, hour, settled_hour, sealed } of rows) {
          const endMs = settled_hour ? settled_hour.getTime() + HOUR_MS : Number.POSITIVE_INFINITY
          // An hour that reaches into the window counts.
          if (endMs <= from || hour.getTime() > to) continue
          merge(all, open(key, copyId, batch, sealed))
        }
      }
      return [...all].map(([tenureId, fields]): Touched => ({ tenureId, fields: [...fields].sort() }))
    },
  }
}

function merge(into: Entries | undefined, entries: Entries): Entries {
  const all = into ?? new Map<TenureId, Set<string>>()
  for (const [tenureId, fields] of entries) {
    const known = all.get(tenureId)
    if (known) for (const field of fields) known.add(field)
    else all.set(tenureId, new Set(fields))
  }
  return all
}

function hourOf(atMs: number): Date {
  return new Date(atMs - (atMs % HOUR_MS))
}

function placeOf(copyId: CopyId, batch: number): string {
  return place('insight.ledger', copyId, String(batch))
}

function seal(key: PurposeKey, copyId: CopyId, batch: number, entries: Entries): Buffer {
  const names = [...new Set([...entries.values()].flatMap((fields) => [...fields]))].sort()
  const index = new Map(names.map((name, at) => [name, at]))
  const head = Buffer.from(JSON.stringify(names))
  const maskBytes = Math.ceil(names.length / 8)
  const size = ID_BYTES + maskBytes
  const plain = Buffer.alloc(4 + head.length + entries.size * size)
  plain.writeUInt32BE(head.length, 0)
  head.copy(plain, 4)
  let at = 4 + head.length
  for (const [tenureId, fields] of entries) {
    idToBytes(tenureId).copy(plain, at)
    for (const field of fields) {
      const bit = index.get(field) as number
      const byte = at + ID_BYTES + (bit >> 3)
      plain[byte] = (plain[byte] as number) | (1 << (bit & 7))
    }
    at += size
  }
  return key.seal(placeOf(copyId, batch), plain)
}

function open(key: PurposeKey, copyId: CopyId, batch: number, sealed: Buffer): Entries {
  const plain = key.unseal(placeOf(copyId, batch), sealed)
  const headBytes = plain.readUInt32BE(0)
  const names = JSON.parse(plain.toString('utf8', 4, 4 + headBytes)) as string[]
  const size = ID_BYTES + Math.ceil(names.length / 8)
  const entries: Entries = new Map()
  for (let at = 4 + headBytes; at < plain.length; at += size) {
    const mask = plain.subarray(at + ID_BYTES, at + size)
    const fields = names.filter((_, bit) => ((mask[bit >> 3] as number) >> (bit & 7)) & 1)
    entries.set(idFromBytes<TenureId>(plain.subarray(at, at + ID_BYTES)), new Set(fields))
  }
  return entries
}
