import { type Kysely, sql } from 'kysely'
import {
  AppError,
  type CommandId,
  type Database,
  newId,
  type RecordId,
  type TenureId,
  type Tx,
} from '../core/index.ts'
import { place, type SealingKey } from '../keys/index.ts'
import type { HeldDevice } from '../registry/index.ts'
import { openRecord } from '../stream/index.ts'
import { openPart, paddedJson } from './command-seals.ts'
import { parseResult, redactedAnswer, redactedEvent, shown } from './content.ts'
import type { CommandEvent, TimelineEntry, TimelinePage } from './face.ts'
import { type HomeTables, KIND_CODE, kindOf, type TimelineRow } from './tables.ts'

const MAX_PAGE = 200

/**
 * Takes `count` places in the home's order and returns the one before the first. The row stays locked until the
 * transaction ends, and every transaction that needs it takes it after all its other locks.
 */
export async function takePlaces(tx: Kysely<HomeTables>, count: number): Promise<number> {
  const row = await tx
    .updateTable('home.head')
    .set({ seq: sql`seq + ${count}::bigint` })
    .returning('seq')
    .executeTakeFirstOrThrow()
  return row.seq - count
}

/** The last place that was taken and committed. */
export async function readHead(database: Database): Promise<number> {
  const { seq } = await database.queries
    .withTables<HomeTables>()
    .selectFrom('home.head')
    .select('seq')
    .executeTakeFirstOrThrow()
  return seq
}

/** What the server itself knows of a command, as a row of the timeline at `seq`. */
export async function appendCommandEvent(
  tx: Tx,
  key: SealingKey,
  entry: { seq: number; tenureId: TenureId; atMs: number; event: CommandEvent },
): Promise<void> {
  const recordId = newId<RecordId>()
  const content = paddedJson({ atMs: entry.atMs, event: entry.event })
  await tx
    .withTables<HomeTables>()
    .insertInto('home.timeline')
    .values({
      tenure_id: entry.tenureId,
      seq: entry.seq,
      record_id: recordId,
      kind: KIND_CODE.command,
      sealed: key.seal(place('home.timeline', entry.tenureId, recordId), content),
    })
    .execute()
}

/** Rows of these tenures in places of the home's order, oldest first. */
export async function readPlaces(
  database: Database,
  places: { after: number; upTo: number; limit: number },
  tenureIds: TenureId[],
): Promise<TimelineRow[]> {
  if (tenureIds.length === 0) return []
  return database.queries
    .withTables<HomeTables>()
    .selectFrom('home.timeline')
    .selectAll()
    .where('tenure_id', '=', sql<TenureId>`any(${tenureIds}::uuid[])`)
    .where('seq', '>', places.after)
    .where('seq', '<=', places.upTo)
    .orderBy('seq')
    .limit(places.limit)
    .execute()
}

/** One page of a tenure's timeline, newest first, as far back as who asks may see. */
export async function readTimeline(
  database: Database,
  key: SealingKey,
  device: Pick<HeldDevice, 'tenureId' | 'deviceId' | 'model' | 'seesFromMs'>,
  { before, limit }: { before?: number | undefined; limit: number },
): Promise<TimelinePage> {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new AppError('invalid_request', { message: `limit must be from 1 to ${MAX_PAGE}.` })
  }
  if (before !== undefined && !(Number.isSafeInteger(before) && before > 0)) {
    throw new AppError('invalid_request', { message: 'before must be a whole number above 0.' })
  }
  let query = database.queries
    .withTables<HomeTables>()
    .selectFrom('home.timeline')
    .selectAll()
    .where('tenure_id', '=', device.tenureId)
    .orderBy('seq', 'desc')
    .limit(limit + 1)
  if (before !== undefined) query = query.where('seq', '<', before)
  const rows = await query.execute()
  const opened = rows.slice(0, limit).map((row) => openEntry(key, device, row))
  const seen = opened.filter((entry) => entry.atMs >= device.seesFromMs)
  const entries = await withAnswers(database, key, device, seen)
  // What is older than the oldest that was left out is left out as well.
  const last = opened.at(-1)
  return rows.length > limit && last && seen.includes(last) ? { entries, next: last.seq } : { entries }
}

/**
 * A device may answer a command after its tenure has ended, in the next one: that there was a command, and what came of
 * it, is the former household's. Such an entry says only that the device answered something. Of the others it depends
 * on the command what in its answer is secret.
 */
async function withAnswers(
  database: Database,
  key: SealingKey,
  device: Pick<HeldDevice, 'tenureId' | 'model'>,
  entries: TimelineEntry[],
): Promise<TimelineEntry[]> {
  const answered = entries.flatMap((entry) => commandAnswered(entry) ?? [])
  if (answered.length === 0) return entries
  const rows = await database.queries
    .withTables<HomeTables>()
    .selectFrom('home.command')
    .selectAll()
    .where('tenure_id', '=', device.tenureId)
    .where('command_id', 'in', answered)
    .execute()
  const own = new Map(rows.map((row) => [row.command_id, row]))
  return entries.map((entry) => {
    const commandId = commandAnswered(entry)
    if (commandId === undefined) return entry
    const row = own.get(commandId)
    if (!row) return { ...entry, payload: { event: 'result' } satisfies CommandEvent }
    const { command } = openPart(key, 'request', row)
    return { ...entry, payload: redactedAnswer(device.model, command, entry.payload) }
  })
}

function commandAnswered({ kind, payload }: TimelineEntry): CommandId | undefined {
  if (kind !== 'command') return undefined
  const event = payload as CommandEvent
  return event.event === 'result' ? event.commandId : undefined
}

/** @throws AppError integrity_failed when the row was sealed for another place */
function openEntry(
  key: SealingKey,
  device: Pick<HeldDevice, 'deviceId' | 'model'>,
  row: TimelineRow,
): TimelineEntry {
  const kind = kindOf(row.kind)
  if (kind === 'command') {
    const plain = key.unseal(place('home.timeline', row.tenure_id, row.record_id), row.sealed)
    const { atMs, event } = JSON.parse(plain.toString('utf8')) as { atMs: number; event: CommandEvent }
    return { seq: row.seq, atMs, kind, payload: redactedEvent(device.model, event) }
  }
  const { receivedAtMs, payload } = openRecord(key, {
    recordId: row.record_id,
    tenureId: row.tenure_id,
    deviceId: device.deviceId,
    kind,
    sealed: row.sealed,
  })
  const entry = { seq: row.seq, atMs: receivedAtMs }
  if (kind !== 'results') return { ...entry, kind, payload: shown(device.model, kind, payload) }
  const result: CommandEvent = { event: 'result', ...parseResult(payload) }
  return { ...entry, kind: 'command', payload: result }
}
