import type { Database, DeviceId, TenureId } from '../core/index.ts'

export interface SessionRow {
  deviceId: DeviceId
  tenureId: TenureId
}

/** This node's rows of `gateway.session`: what an unclean stop leaves behind. */
export class SessionRows {
  readonly #database: Database
  readonly #node: string

  constructor(o: { database: Database; node: string }) {
    this.#database = o.database
    this.#node = o.node
  }

  async all(): Promise<SessionRow[]> {
    const { rows } = await this.#database.pool.query<{ device_id: DeviceId; tenure_id: TenureId }>(
      'select device_id, tenure_id from gateway.session where node = $1',
      [this.#node],
    )
    return rows.map((row) => ({ deviceId: row.device_id, tenureId: row.tenure_id }))
  }

  async put(rows: SessionRow[]): Promise<void> {
    if (rows.length === 0) return
    await this.#database.pool.query(
      `insert into gateway.session (node, device_id, tenure_id)
       select $1, * from unnest($2::uuid[], $3::uuid[])
       on conflict (node, device_id) do update set tenure_id = excluded.tenure_id`,
      [this.#node, rows.map((row) => row.deviceId), rows.map((row) => row.tenureId)],
    )
  }

  async remove(rows: SessionRow[]): Promise<void> {
    if (rows.length === 0) return
    await this.#database.pool.query(
      `delete from gateway.session s using unnest($2::uuid[], $3::uuid[]) as gone (device_id, tenure_id)
       where s.node = $1 and s.device_id = gone.device_id and s.tenure_id = gone.tenure_id`,
      [this.#node, rows.map((row) => row.deviceId), rows.map((row) => row.tenureId)],
    )
  }
}
