import { sql } from 'kysely'
import { AppError, type KeyId, type Queries, type Tx } from '../core/index.ts'
import { place } from './place.ts'

export type KeyKind = 'household' | 'tenure' | 'account' | 'copy'

type WrappedKeyTable = {
  id: KeyId
  version: number
  kind: KeyKind
  subject: string
  wrapped_by: KeyId | null
  root_version: number | null
  wrapped: Buffer | null
  created_hour: Date
  destroyed_hour: Date | null
}

export type KeysTables = {
  'keys.wrapped_key': WrappedKeyTable
  'keys.installation': { root_version: number; check_value: Buffer; created_hour: Date }
}

export type WrappedKey = Pick<
  WrappedKeyTable,
  'id' | 'version' | 'kind' | 'subject' | 'wrapped_by' | 'root_version' | 'wrapped'
>

const COLUMNS = ['id', 'version', 'kind', 'subject', 'wrapped_by', 'root_version', 'wrapped'] as const

/** Where a wrapped key stands: moved onto another id, version, kind, subject or parent, it does not open. */
export function wrappedKeyPlace(key: Omit<WrappedKey, 'wrapped' | 'root_version'>): string {
  return place(
    'keys.wrapped_key',
    key.id,
    String(key.version),
    key.kind,
    key.subject,
    key.wrapped_by ?? 'root',
  )
}

/** Times in the plain are kept to the hour: they say when somebody signed up or claimed a device. */
export function hourOf(nowMs: number): Date {
  return new Date(nowMs - (nowMs % 3_600_000))
}

/** All versions, newest first; empty when the key is unknown. */
export function readVersions(queries: Queries | Tx, id: KeyId): Promise<WrappedKey[]> {
  return select(queries, id).execute()
}

/**
 * The same, without the rows that a running transaction is about to change: while a destroying transaction is
 * open its key reads as absent, and after it as what became of it.
 */
export function readSettledVersions(queries: Queries, id: KeyId): Promise<WrappedKey[]> {
  return select(queries, id).forShare().skipLocked().execute()
}

/** Waits for a running destruction, and keeps the next one out until the transaction ends. */
export function lockVersions(tx: Tx, id: KeyId): Promise<WrappedKey[]> {
  return select(tx, id).forNoKeyUpdate().execute()
}

export async function insertVersion(tx: Tx, key: WrappedKey, nowMs: number): Promise<void> {
  await tx
    .withTables<KeysTables>()
    .insertInto('keys.wrapped_key')
    .values({ ...key, created_hour: hourOf(nowMs), destroyed_hour: null })
    .execute()
}

/**
 * Takes the bytes of all versions away, of this key and of all that it wraps.
 * @returns the ids of the keys that are gone
 */
export async function eraseWrapped(tx: Tx, id: KeyId, nowMs: number): Promise<KeyId[]> {
  const { rows } = await sql<{ id: KeyId }>`
    with recursive gone as (
      select id from keys.wrapped_key where id = ${id}
      union
      select child.id from keys.wrapped_key child join gone on child.wrapped_by = gone.id
    ), erased as (
      update keys.wrapped_key set wrapped = null, destroyed_hour = ${hourOf(nowMs)}
      where id in (select id from gone) and wrapped is not null
    )
    select id from gone`.execute(tx)
  if (rows.length === 0) throw new AppError('not_found', { detail: 'no key of this id to destroy' })
  return rows.map((row) => row.id)
}

/** The next keys that the root wraps under another version than this, held against changes until the end of `tx`. */
export function lockStale(tx: Tx, rootVersion: number, limit: number): Promise<WrappedKey[]> {
  return tx
    .withTables<KeysTables>()
    .selectFrom('keys.wrapped_key')
    .select(COLUMNS)
    .where('wrapped_by', 'is', null)
    .where('root_version', '<', rootVersion)
    .where('wrapped', 'is not', null)
    .orderBy('root_version')
    .orderBy('id')
    .orderBy('version')
    .limit(limit)
    .forNoKeyUpdate()
    .execute()
}

export async function replaceWrapped(
  tx: Tx,
  rootVersion: number,
  keys: { id: KeyId; version: number; wrapped: Buffer }[],
): Promise<void> {
  await sql`
    update keys.wrapped_key k set wrapped = fresh.wrapped, root_version = ${rootVersion}
    from unnest(${keys.map((key) => key.id)}::uuid[], ${keys.map((key) => key.version)}::int[],
      ${keys.map((key) => key.wrapped)}::bytea[]) as fresh (id, version, wrapped)
    where k.id = fresh.id and k.version = fresh.version`.execute(tx)
}

function select(queries: Queries | Tx, id: KeyId) {
  return queries
    .withTables<KeysTables>()
    .selectFrom('keys.wrapped_key')
    .select(COLUMNS)
    .where('id', '=', id)
    .orderBy('version', 'desc')
}
