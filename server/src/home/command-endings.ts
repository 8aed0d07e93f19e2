import { isAppError, type Log, type Tx } from '../core/index.ts'
import type { Keys, SealingKey } from '../keys/index.ts'
import { openRecord, type StreamRecord } from '../stream/index.ts'
import { openPart, sealPart } from './command-seals.ts'
import { parseResult } from './content.ts'
import type { CommandRow, HomeTables } from './tables.ts'
import { appendCommandEvent, takePlaces } from './timeline.ts'

export interface EndingDependencies {
  keys: Pick<Keys, 'open'>
  log: Log
}

/** Ends commands by the results of devices. A result that is malformed, foreign or late changes nothing. */
export async function applyResults(
  d: EndingDependencies,
  plainTx: Tx,
  results: readonly StreamRecord[],
): Promise<CommandRow[]> {
  const tx = plainTx.withTables<HomeTables>()
  const open = await tx
    .selectFrom('home.command')
    .select(['tenure_id', 'key_id'])
    .distinct()
    .where('tenure_id', 'in', [...new Set(results.map((record) => record.tenureId))])
    .where('due_ms', 'is not', null)
    .execute()
  const keyOf = new Map(open.map((row) => [row.tenure_id, row.key_id]))
  const ended: CommandRow[] = []
  for (const record of results) {
    const keyId = keyOf.get(record.tenureId)
    if (!keyId) continue
    const key = await openUnlessLost(d, { key_id: keyId }, plainTx)
    const opened = key && openOrSkip(d, key, record)
    const result = opened && parseResult(opened.payload)
    if (!key || !opened || !result) continue
    const { commandId, status, response } = result
    const row = await tx
      .updateTable('home.command')
      .set({
        state: status === 'SUCCESS' ? 'succeeded' : 'failed',
        due_ms: null,
        outcome: sealPart(key, 'outcome', commandId, { atMs: opened.receivedAtMs, status, response }),
      })
      .where('command_id', '=', commandId)
      .where('tenure_id', '=', record.tenureId)
      .where('device_id', '=', record.deviceId)
      .where('due_ms', '>', opened.receivedAtMs)
      .returningAll()
      .executeTakeFirst()
    if (row) ended.push(row)
  }
  return ended
}

/** Ends open rows without the device's word, and says so in the timeline. The rows must be locked. */
export async function endWithoutDevice(
  d: EndingDependencies,
  tx: Tx,
  rows: readonly CommandRow[],
  end: {
    state: 'failed' | 'expired'
    event: 'refused' | 'expired' | 'abandoned'
    status?: string
    nowMs: number
  },
): Promise<CommandRow[]> {
  const ended: { row: CommandRow; key: SealingKey | undefined }[] = []
  for (const row of rows) {
    const key = await openUnlessLost(d, row, tx)
    const outcome = { atMs: end.nowMs, ...(end.status !== undefined && { status: end.status }) }
    const updated = await tx
      .withTables<HomeTables>()
      .updateTable('home.command')
      .set({
        state: end.state,
        due_ms: null,
        outcome: key ? sealPart(key, 'outcome', row.command_id, outcome) : null,
      })
      .where('command_id', '=', row.command_id)
      .where('due_ms', 'is not', null)
      .returningAll()
      .executeTakeFirst()
    if (updated) ended.push({ row: updated, key })
  }
  if (ended.length === 0) return []
  let seq = await takePlaces(tx.withTables<HomeTables>(), ended.length)
  for (const { row, key } of ended) {
    seq += 1
    if (!key) continue
    const event = {
      event: end.event,
      commandId: row.command_id,
      command: nameOf(d, key, row),
      ...(end.status !== undefined && { status: end.status }),
    }
    await appendCommandEvent(tx, key, { seq, tenureId: row.tenure_id, atMs: end.nowMs, event })
  }
  return ended.map(({ row }) => row)
}

function nameOf({ log }: EndingDependencies, key: SealingKey, row: CommandRow): string {
  try {
    return openPart(key, 'request', row).command
  } catch (error) {
    // A row that was tampered with must still expire; the reader of it is told.
    log.warn('a command did not open', { error })
    return ''
  }
}

/** The tenure's key, or undefined when it was destroyed, and with it all that it sealed, or does not open itself. */
export async function openUnlessLost(
  { keys, log }: EndingDependencies,
  row: Pick<CommandRow, 'key_id'>,
  tx?: Tx,
): Promise<SealingKey | undefined> {
  try {
    return await keys.open(row.key_id, tx)
  } catch (error) {
    if (isAppError(error, 'not_found')) return undefined
    if (!isAppError(error, 'integrity_failed')) throw error
    log.error('a tenure key did not open', { error, keyId: row.key_id })
    return undefined
  }
}

/** One record that does not open must not hold up all that follow it. */
function openOrSkip({ log }: EndingDependencies, key: SealingKey, record: StreamRecord) {
  try {
    return openRecord(key, record)
  } catch (error) {
    if (!isAppError(error, 'integrity_failed')) throw error
    log.error('a result did not open', { error, tenureId: record.tenureId, recordId: record.recordId })
    return undefined
  }
}
