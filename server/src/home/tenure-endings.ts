import { type Kysely, sql } from 'kysely'
import type { Clock, Log, TenureId } from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { BeforeTenureEnds } from '../registry/index.ts'
import { endWithoutDevice } from './command-endings.ts'
import { destroyRows } from './destroyed-tenures.ts'
import type { HomeTables } from './tables.ts'

/** Matter's status code for a requester without the right (Interaction Model status codes). */
const NO_LONGER_ALLOWED = 'UNSUPPORTED_ACCESS'

/** Requests for one tenure take turns with each other, and with its end. */
export async function lockCommands(tx: Kysely<HomeTables>, tenureId: TenureId): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended('home.command/' || ${tenureId}, 0))`.execute(tx)
}

/**
 * What this room keeps on a tenure ends with it, in the same commit: a command that waits is never sent, one that was
 * sent has no outcome any more, and results and acknowledgements that come late find nothing that is open. Of a
 * history that is destroyed no row is left (`destroyed-tenures`). Every process that can end a tenure hands this to the registry.
 */
export function createTenureEnding(d: {
  keys: Pick<Keys, 'open'>
  clock: Clock
  log: Log
}): BeforeTenureEnds {
  return async (plainTx, { tenureId }, { history }) => {
    const tx = plainTx.withTables<HomeTables>()
    await lockCommands(tx, tenureId)
    if (history === 'destroyed') return destroyRows(plainTx, tenureId, d.clock.nowMs())
    const open = await tx
      .selectFrom('home.command')
      .selectAll()
      .where('tenure_id', '=', tenureId)
      .where('due_ms', 'is not', null)
      .orderBy('seq')
      .forUpdate()
      .execute()
    await endWithoutDevice(d, plainTx, open, {
      state: 'failed',
      event: 'abandoned',
      status: NO_LONGER_ALLOWED,
      nowMs: d.clock.nowMs(),
    })
  }
}
