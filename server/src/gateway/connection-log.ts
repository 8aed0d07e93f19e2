import { sql } from 'kysely'
import { type Clock, type Database, type DeviceId, type Log, recordFields } from '../core/index.ts'
import type { Registry } from '../registry/index.ts'

/** How an attempt to connect ended: let in, or refused for one of these. */
export type ConnectOutcome = 'accepted' | 'credentials' | 'rate' | 'server' | 'protocol'

export interface ConnectionCount {
  /** 1, 2, 3 … without a gap, in the order of commits. */
  seq: number
  hourMs: number
  /** `unknown` for an attempt that names no device of ours. */
  model: string
  firmware: string
  outcome: string
  count: number
}

export const connectionCountFields = recordFields<ConnectionCount>('ConnectionCount', {
  seq: 'metric',
  hourMs: 'metric',
  model: 'public',
  firmware: 'public',
  outcome: 'metric',
  count: 'metric',
})

/**
 * How often devices fail to connect, without saying which: attempts are counted in memory, and only sums by model, firmware
 * and hour are kept. What was counted since the last flush is lost with the process.
 */
export interface ConnectionLog {
  /** @param claimed the device that it is, or that it says it is: nobody has proved it when it is refused */
  attempted(claimed: DeviceId | undefined, outcome: ConnectOutcome): void
  /** The device has told its software version. */
  told(deviceId: DeviceId, version: number): void
  flush(): Promise<void>
  after(seq: number, limit: number): Promise<ConnectionCount[]>
  head(): Promise<number>
  /** What each of these devices told last. */
  firmware(deviceIds: readonly DeviceId[]): Promise<Map<DeviceId, string>>
}

const UNKNOWN = 'unknown'
const HOUR_MS = 3_600_000
/** Strangers can name as many devices as they like: beyond this, attempts count as nobody's until the next flush. */
const MAX_DEVICES = 20_000

type Tables = {
  'gateway.connection_head': { seq: number }
  'gateway.connection_count': {
    seq: number
    hour: Date
    model: string
    firmware: string
    outcome: string
    count: number
  }
  'gateway.firmware': { device_id: DeviceId; version: number }
}

export function createConnectionLog(o: {
  database: Database
  registry: Pick<Registry, 'deviceModels'>
  clock: Clock
  log: Log
}): ConnectionLog {
  const { database, clock } = o
  const queries = database.queries.withTables<Tables>()
  let attempts = new Map<DeviceId | undefined, Map<ConnectOutcome, number>>()
  let versions = new Map<DeviceId, number>()
  let flushing: Promise<void> | undefined

  function add(claimed: DeviceId | undefined, outcome: ConnectOutcome, count: number): void {
    const whose = attempts.has(claimed) || attempts.size < MAX_DEVICES ? claimed : undefined
    const of = attempts.get(whose) ?? new Map<ConnectOutcome, number>()
    attempts.set(whose, of.set(outcome, (of.get(outcome) ?? 0) + count))
  }

  async function firmware(deviceIds: readonly DeviceId[]): Promise<Map<DeviceId, string>> {
    if (deviceIds.length === 0) return new Map()
    const rows = await queries
      .selectFrom('gateway.firmware')
      .selectAll()
      .where('device_id', '=', sql<DeviceId>`any(${[...deviceIds]}::uuid[])`)
      .execute()
    return new Map(rows.map((row) => [row.device_id, String(row.version)]))
  }

  async function keepVersions(told: ReadonlyMap<DeviceId, number>): Promise<void> {
    if (told.size === 0) return
    await sql`
      insert into gateway.firmware as f (device_id, version)
      select * from unnest(${[...told.keys()]}::uuid[], ${[...told.values()]}::bigint[]) as t (device_id, version)
      order by device_id
      on conflict (device_id) do update set version = excluded.version where f.version <> excluded.version`.execute(
      database.queries,
    )
  }

  /** By model, firmware and outcome: whose they were ends here. */
  async function sums(of: typeof attempts) {
    const ids = [...of.keys()].filter((id) => id !== undefined)
    const [models, told] = [await o.registry.deviceModels(ids), await firmware(ids)]
    const rows = new Map<
      string,
      { model: string; firmware: string; outcome: ConnectOutcome; count: number }
    >()
    for (const [id, outcomes] of of) {
      const model = id && models.get(id)
      const version = (id && told.get(id)) ?? model?.firmware ?? ''
      for (const [outcome, count] of outcomes) {
        const row = { model: model?.name ?? UNKNOWN, firmware: model ? version : '', outcome, count }
        const key = JSON.stringify([row.model, row.firmware, outcome])
        rows.set(key, { ...row, count: (rows.get(key)?.count ?? 0) + count })
      }
    }
    return [...rows.values()]
  }

  async function flush(): Promise<void> {
    const [counted, told] = [attempts, versions]
    attempts = new Map()
    versions = new Map()
    try {
      await keepVersions(told)
      const rows = await sums(counted)
      if (rows.length === 0) return
      // The hour of the flush, not of the attempt: an hour that is over gains nothing any more.
      const hour = new Date(clock.nowMs() - (clock.nowMs() % HOUR_MS))
      await sql`
        with head as (
          update gateway.connection_head set seq = seq + ${rows.length}::bigint
          returning seq - ${rows.length}::bigint as base
        )
        insert into gateway.connection_count (seq, hour, model, firmware, outcome, count)
        select head.base + r.n, ${hour}, r.model, r.firmware, r.outcome, r.count
        from head, unnest(${rows.map(({ model }) => model)}::text[], ${rows.map((row) => row.firmware)}::text[],
          ${rows.map(({ outcome }) => outcome)}::text[], ${rows.map(({ count }) => count)}::int[])
          with ordinality as r (model, firmware, outcome, count, n)`.execute(database.queries)
    } catch (error) {
      o.log.warn('attempts to connect could not be counted; they will be with the next', { error })
      for (const [id, outcomes] of counted) for (const [outcome, count] of outcomes) add(id, outcome, count)
      for (const [id, version] of told) if (!versions.has(id)) versions.set(id, version)
    }
  }

  return {
    attempted: (claimed, outcome) => add(claimed, outcome, 1),
    told(deviceId, version) {
      if (versions.size < MAX_DEVICES) versions.set(deviceId, version)
    },
    flush() {
      flushing ??= flush().finally(() => {
        flushing = undefined
      })
      return flushing
    },
    async after(seq, limit) {
      const rows = await queries
        .selectFrom('gateway.connection_count')
        .selectAll()
        .where('seq', '>', seq)
        .orderBy('seq')
        .limit(limit)
        .execute()
      return rows.map(({ hour, ...row }) => ({ ...row, hourMs: hour.getTime() }))
    },
    async head() {
      return (await queries.selectFrom('gateway.connection_head').select('seq').executeTakeFirstOrThrow()).seq
    },
    firmware,
  }
}
