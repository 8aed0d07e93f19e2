import { sql } from 'kysely'
import { byteaArray, type CopyId, type Queries, type TenureId, type Tx } from '../core/index.ts'
import { place, type SealingKey } from '../keys/index.ts'
import type { InsightTables } from './tables.ts'

/** What filling must know of a tenure from the batches before. */
export interface TenureState {
  /** The software version that the device told last. */
  firmware?: string | undefined
  /** The last day on which it was heard of, as milliseconds. */
  activeDayMs?: number | undefined
  online?: boolean | undefined
}

const REF_BYTES = 16
const STATE_BYTES = 128

/** Its name in our own table: not the pseudonym, or the two databases could be joined. */
export function refOf(key: SealingKey, tenureId: TenureId): Buffer {
  return key.digest(`ref:${tenureId}`).subarray(0, REF_BYTES)
}

/** Of those tenures that have been in the copy before. */
export async function readStates(
  queries: Queries,
  key: SealingKey,
  copyId: CopyId,
  tenureIds: readonly TenureId[],
): Promise<Map<TenureId, TenureState>> {
  const byRef = new Map(tenureIds.map((id) => [refOf(key, id).toString('hex'), id]))
  const refs = [...byRef.keys()].map((hex) => Buffer.from(hex, 'hex'))
  const rows = await queries
    .withTables<InsightTables>()
    .selectFrom('insight.copy_tenure')
    .select(['ref', 'sealed'])
    .where('copy_id', '=', copyId)
    .where('ref', '=', sql<Buffer>`any(${byteaArray(refs)}::bytea[])`)
    .execute()
  return new Map(
    rows.map(({ ref, sealed }) => [
      byRef.get(ref.toString('hex')) as TenureId,
      JSON.parse(key.unseal(placeOf(copyId, ref), sealed).toString('utf8')) as TenureState,
    ]),
  )
}

export async function writeStates(
  tx: Tx,
  key: SealingKey,
  copyId: CopyId,
  states: ReadonlyMap<TenureId, TenureState>,
): Promise<void> {
  if (states.size === 0) return
  const rows = [...states].map(([tenureId, state]) => {
    const ref = refOf(key, tenureId)
    return { ref, sealed: key.seal(placeOf(copyId, ref), JSON.stringify(state).padEnd(STATE_BYTES)) }
  })
  await sql`
    insert into insight.copy_tenure (copy_id, ref, sealed)
    select ${copyId}, ref, sealed from unnest(
      ${byteaArray(rows.map(({ ref }) => ref))}::bytea[], ${byteaArray(rows.map(({ sealed }) => sealed))}::bytea[]
    ) as r (ref, sealed)
    on conflict (copy_id, ref) do update set sealed = excluded.sealed`.execute(tx)
}

function placeOf(copyId: CopyId, ref: Buffer): string {
  return place('insight.copy_tenure', copyId, ref.toString('hex'))
}
