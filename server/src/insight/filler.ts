import { LRUCache } from 'lru-cache'
import {
  AppError,
  type Clock,
  type CopyId,
  type Database,
  type DeviceId,
  isAppError,
  type Log,
  type TenureId,
  type Tx,
} from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { Model, Registry, Tenure } from '../registry/index.ts'
import type { Stream, StreamRecord } from '../stream/index.ts'
import type { Catalogue } from './catalogue.ts'
import type { CopyStore, StoredCopy } from './copy-store.ts'
import { type Batch, type ConnectionCount, derive } from './derive.ts'
import type { Destinations } from './destinations/destinations.ts'
import { looksPersonal } from './detectors.ts'
import type { LedgerBook } from './ledger.ts'
import { readStates, writeStates } from './tenure-state.ts'

/** A batch that has not arrived by then is given up, and sent again. Bounds how long a cut waits. */
export const DELIVERY_MS = 5_000
const COUNTS_AT_ONCE = 1_000
const RECORDS_AT_ONCE = 2_000

/** What gateways counted, in an order without gaps. */
export interface ConnectionCounts {
  after(seq: number, limit: number): Promise<ConnectionCount[]>
  head(): Promise<number>
  /** The software version that each of these devices told last, in any tenure. */
  firmware(deviceIds: readonly DeviceId[]): Promise<Map<DeviceId, string>>
}

export interface FillerOptions {
  database: Database
  keys: Pick<Keys, 'open'>
  registry: Pick<Registry, 'tenures'>
  stream: Pick<Stream, 'read'>
  connections: ConnectionCounts
  store: CopyStore
  ledger: LedgerBook
  destinations: Destinations
  catalogue: () => Promise<Catalogue>
  clock: Clock
  log: Log
}

/** Where a batch begins and ends in the two logs. */
interface Range {
  number: number
  fromSeq: number
  toSeq: number
  fromConnection: number
  toConnection: number
}

export interface Filler {
  /**
   * One batch: ledger, destination, place, in this order and each durable before the next. @returns whether there may be more
   */
  step(copyId: CopyId): Promise<boolean>
  /** Gives up what is on its way to this destination. */
  stop(copyId: CopyId): void
  stats(): Record<string, number>
}

export function createFiller(o: FillerOptions): Filler {
  const { database, store, ledger, clock } = o
  const onTheirWay = new Map<CopyId, Set<AbortController>>()
  // Neither the key of a tenure nor the model of its device ever changes.
  const tenures = new LRUCache<TenureId, { tenure: Tenure; model: Model }>({ max: 50_000 })
  const counts = { batches: 0, rows: 0, withheld: 0, refused: 0 }

  async function knownTenures(records: readonly StreamRecord[]) {
    const missing = [...new Set(records.map(({ tenureId }) => tenureId))].filter((id) => !tenures.has(id))
    for (const found of await o.registry.tenures(missing)) tenures.set(found.tenure.tenureId, found)
  }

  /** What is next, or what was on its way when a process ended: the same range again, for the destination may have it. */
  async function nextRange(
    copy: StoredCopy,
  ): Promise<{ range: Range; records: StreamRecord[]; counted: ConnectionCount[] } | undefined> {
    const { seq, connection_seq, pending_seq, pending_connection_seq } = copy
    const names = (field: string) => copy.open.fields.includes(field)
    const wanted = copy.open.fields.some(
      (field) => !/^(connection\.|device\.(model|firmware|pseudonym)$)/.test(field),
    )
    let records: StreamRecord[] = []
    if (pending_seq === null) records = (await o.stream.read(seq)).slice(0, RECORDS_AT_ONCE)
    else
      for (let at = seq; at < pending_seq; at = records.at(-1)?.seq ?? pending_seq)
        records.push(...(await o.stream.read(at)).filter((record) => record.seq <= pending_seq))
    let counted = names('connection.outcome') ? await o.connections.after(connection_seq, COUNTS_AT_ONCE) : []
    if (pending_connection_seq !== null)
      counted = counted.filter((each) => each.seq <= pending_connection_seq)
    const range = {
      number: copy.batch + 1,
      fromSeq: seq,
      toSeq: pending_seq ?? records.at(-1)?.seq ?? seq,
      fromConnection: connection_seq,
      toConnection: pending_connection_seq ?? counted.at(-1)?.seq ?? connection_seq,
    }
    if (pending_seq === null && records.length === 0 && counted.length === 0) return undefined
    return { range, records: wanted ? records : [], counted }
  }

  async function batchOf(
    copy: StoredCopy,
    records: StreamRecord[],
    counted: ConnectionCount[],
  ): Promise<{ batch: Batch; save: (tx: Tx) => Promise<void> }> {
    const key = await o.keys.open(copy.key_id)
    await knownTenures(records)
    const ids = [...new Set(records.map(({ tenureId }) => tenureId))]
    const states = await readStates(database.queries, key, copy.copy_id, ids)
    const deviceIds = ids.flatMap((id) => tenures.get(id)?.tenure.deviceId ?? [])
    const told = await o.connections.firmware(deviceIds)
    const batch = await derive(records, counted, {
      fields: new Set(copy.open.fields),
      grain: copy.open.grain,
      catalogue: await o.catalogue(),
      key,
      recognition: copy.open.recognition,
      looksPersonal,
      tenure: (id) => tenures.get(id),
      open: (tenure) => o.keys.open(tenure.keyId),
      state: (id) => states.get(id),
      firmware: (id) => told.get(id),
    })
    return { batch, save: (tx) => writeStates(tx, key, copy.copy_id, batch.states) }
  }

  function isSame(copy: StoredCopy | undefined, range: Range): copy is StoredCopy {
    return (
      copy?.state === 'filling' &&
      copy.batch === range.number - 1 &&
      copy.seq === range.fromSeq &&
      copy.connection_seq === range.fromConnection
    )
  }

  async function step(copyId: CopyId): Promise<boolean> {
    const copy = await store.find(copyId)
    if (copy.state !== 'filling') return false
    const next = await nextRange(copy)
    if (!next) return false
    const { range } = next
    const { batch, save } = await batchOf(copy, next.records, next.counted)

    if (batch.rows.length === 0 && copy.pending_seq === null) return await pass(copyId, range, save)

    // First, and on disk, whose data may be there from now on.
    const prepared = await database.transaction(async (tx) => {
      const locked = await store.tryLock(tx, copyId)
      if (!isSame(locked, range)) return false
      await ledger.prepare(tx, { copyId, batch: range.number, atMs: clock.nowMs() }, batch.entries)
      await store.update(tx, copyId, { pending_seq: range.toSeq, pending_connection_seq: range.toConnection })
      return true
    })
    if (!prepared) return false

    // Then the bytes, under the row's lock: whoever cuts the feed waits for it, and after that commit nothing leaves.
    const done = await database.transaction(async (tx) => {
      const locked = await store.tryLock(tx, copyId)
      if (!isSame(locked, range)) return false
      const outcome = await deliver(locked, range.number, batch)
      await ledger.settle(
        tx,
        { copyId, batch: range.number, atMs: clock.nowMs() },
        outcome === 'written' ? batch.entries : undefined,
      )
      await save(tx)
      await store.update(tx, copyId, {
        seq: range.toSeq,
        connection_seq: range.toConnection,
        batch: range.number,
        pending_seq: null,
        pending_connection_seq: null,
        problem: null,
      })
      return true
    })
    if (done) {
      counts.batches += 1
      counts.rows += batch.rows.length
      counts.withheld += batch.withheld
      if (batch.withheld > 0)
        o.log.error('a value that looks like a person’s was kept out of a copy', {
          copyId,
          rows: batch.withheld,
        })
    }
    return done
  }

  /** Nothing of it is for this copy. */
  async function pass(copyId: CopyId, range: Range, save: (tx: Tx) => Promise<void>): Promise<boolean> {
    return await database.transaction(async (tx) => {
      if (!isSame(await store.tryLock(tx, copyId), range)) return false
      await save(tx)
      await store.update(tx, copyId, { seq: range.toSeq, connection_seq: range.toConnection })
      return true
    })
  }

  async function deliver(copy: StoredCopy, number: number, { rows }: Batch): Promise<'written' | 'already'> {
    const abort = new AbortController()
    const timer = setTimeout(() => abort.abort(), DELIVERY_MS)
    const all = onTheirWay.get(copy.copy_id) ?? new Set()
    onTheirWay.set(copy.copy_id, all.add(abort))
    try {
      const destination = o.destinations.of(copy)
      const send = async () => {
        await destination.check(abort.signal)
        if (number === 1) await destination.prepare(abort.signal)
        return await destination.deliver({ number, rows }, abort.signal)
      }
      // Whatever hangs does not hold the row. Should it wake up, the signal stops it before the next byte.
      return await Promise.race([send(), calledOff(abort.signal)])
    } finally {
      clearTimeout(timer)
      all.delete(abort)
      if (all.size === 0) onTheirWay.delete(copy.copy_id)
    }
  }

  return {
    step,
    stop(copyId) {
      for (const abort of onTheirWay.get(copyId) ?? []) abort.abort()
    },
    stats: () => ({
      insight_batches_total: counts.batches,
      insight_rows_total: counts.rows,
      insight_withheld_rows_total: counts.withheld,
      insight_on_their_way: onTheirWay.size,
    }),
  }
}

function calledOff(signal: AbortSignal): Promise<never> {
  const off = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () =>
      reject(
        new AppError('unavailable', {
          detail: 'a batch was called off, or took too long',
          retryAfterSeconds: 1,
        }),
      ),
    )
  })
  off.catch(() => {})
  return off
}

/** A destination that answers strangers: the feed ends here, whoever notices. */
export function isOpenDestination(error: unknown): error is AppError {
  return isAppError(error, 'destination_refused') && error.detail === 'open'
}
