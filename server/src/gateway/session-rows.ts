import type { Database, DeviceId, TenureId } from '../core/index.ts'

export interface SessionRow {
  deviceId: DeviceId
  tenureId: TenureId
  /** Given at each taking, growing; absent before it. */
  turn?: number | undefined
}

export interface Taken {
  turn: number
  /** The stream says already that the device is online in this tenure. */
  recorded: boolean
  /** Where the device was connected until now. */
  former: string | undefined
}

/**
 * `gateway.session`: which node has which device. Of two nodes that take one at once, the later has it; all that the
 * other still wants to write about it then finds no row of its own.
 */
export class SessionRows {
  readonly #database: Database
  readonly #node: string

  constructor(o: { database: Database; node: string }) {
    this.#database = o.database
    this.#node = o.node
  }

  /** The device is connected here now, wherever it was before. */
  async take(rows: SessionRow[]): Promise<Map<DeviceId, Taken>> {
    if (rows.length === 0) return new Map()
    // Ordered, so that two nodes lock in the same order; the turn is drawn once the row is locked.
    const answer = await this.#query<Taken & { device_id: DeviceId }>(
      `insert into gateway.session as held (node, device_id, tenure_id, turn, recorded)
       select $1, device_id, tenure_id, nextval('gateway.turn'), false
       from unnest($2::uuid[], $3::uuid[]) as given (device_id, tenure_id) order by device_id
       on conflict (device_id) do update set node = excluded.node, tenure_id = excluded.tenure_id,
         turn = nextval('gateway.turn'), former = held.node,
         recorded = held.recorded and held.tenure_id = excluded.tenure_id
       returning device_id, turn, recorded, former`,
      [rows.map((row) => row.deviceId), rows.map((row) => row.tenureId)],
    )
    return new Map(
      answer.map(({ device_id, turn, recorded, former }) => [
        device_id,
        { turn, recorded, former: former === this.#node ? undefined : (former ?? undefined) },
      ]),
    )
  }

  /** The stream says now that they are online. */
  async confirm(rows: SessionRow[]): Promise<void> {
    await this.#mine('update gateway.session s set recorded = true', rows)
  }

  /** The stream is about to say that they are offline. @returns those that are still this node's to speak of */
  leave(rows: SessionRow[]): Promise<Set<DeviceId>> {
    return this.#mine('update gateway.session s set recorded = false', rows)
  }

  /** @returns those that were still this node's */
  remove(rows: SessionRow[]): Promise<Set<DeviceId>> {
    return this.#mine('delete from gateway.session s', rows)
  }

  /** Which of them are connected to another node now. */
  async elsewhere(deviceIds: DeviceId[]): Promise<DeviceId[]> {
    if (deviceIds.length === 0) return []
    const rows = await this.#query<{ device_id: DeviceId }>(
      'select device_id from gateway.session where node <> $1 and device_id = any($2::uuid[])',
      [deviceIds],
    )
    return rows.map((row) => row.device_id)
  }

  async otherNodes(): Promise<string[]> {
    const rows = await this.#query<{ node: string }>(
      'select distinct node from gateway.session where node <> $1',
      [],
    )
    return rows.map((row) => row.node)
  }

  /** Takes over rows of a node that is gone; of several nodes that do so, each gets others. */
  async adopt(node: string, limit: number): Promise<SessionRow[]> {
    const rows = await this.#query<{ device_id: DeviceId; tenure_id: TenureId; turn: number }>(
      `update gateway.session set node = $1, turn = nextval('gateway.turn') where device_id in (
         select device_id from gateway.session where node = $2 order by device_id limit $3
         for update skip locked)
       returning device_id, tenure_id, turn`,
      [node, limit],
    )
    return rows.map((row) => ({ deviceId: row.device_id, tenureId: row.tenure_id, turn: row.turn }))
  }

  /** Does it to the rows that are this node's in that turn still. */
  async #mine(what: string, rows: SessionRow[]): Promise<Set<DeviceId>> {
    const known = rows.filter((row) => row.turn !== undefined)
    if (known.length === 0) return new Set()
    const from = what.startsWith('delete') ? 'using' : 'from'
    const answer = await this.#query<{ device_id: DeviceId }>(
      `${what} ${from} unnest($2::uuid[], $3::bigint[]) as known (device_id, turn)
       where s.node = $1 and s.device_id = known.device_id and s.turn = known.turn
       returning s.device_id`,
      [known.map((row) => row.deviceId), known.map((row) => row.turn)],
    )
    return new Set(answer.map((row) => row.device_id))
  }

  async #query<Row extends object>(text: string, values: unknown[]): Promise<Row[]> {
    return (await this.#database.pool.query<Row>(text, [this.#node, ...values])).rows
  }
}
