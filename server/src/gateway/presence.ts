import type { Clock, DeviceId, Log } from '../core/index.ts'
import type { GatewayRegistry } from './face.ts'
import type { Line, Lines } from './lines.ts'
import type { SessionRow, SessionRows } from './session-rows.ts'

const AVAILABILITY = { kind: 'availability', paths: ['$availability'] } as const
const ONLINE = Buffer.from('{"online":true}')
const OFFLINE = Buffer.from('{"online":false}')
/** Lines whose records are written at once: bounds what a mass disconnect puts into the stream together. */
const AT_ONCE = 500

/**
 * The server's own knowledge of who is connected, written to the stream. Compares what holds with what is recorded and
 * records the difference, so that it may fail and be tried again, and short interruptions cost nothing.
 */
export class Presence {
  failures = 0
  readonly #lines: Lines
  readonly #rows: SessionRows
  readonly #registry: GatewayRegistry
  readonly #clock: Clock
  readonly #log: Log
  readonly #graceMs: number
  readonly #changed = new Set<Line>()
  // Offline, but what they published is not all committed yet.
  readonly #lingering = new Set<Line>()
  #endedRows: SessionRow[] = []
  readonly #left = new Map<DeviceId, SessionRow>()
  #leftUntilMs = 0
  #running: Promise<void> | undefined

  constructor(o: {
    lines: Lines
    rows: SessionRows
    registry: GatewayRegistry
    clock: Clock
    log: Log
    graceMs: number
  }) {
    this.#lines = o.lines
    this.#rows = o.rows
    this.#registry = o.registry
    this.#clock = o.clock
    this.#log = o.log
    this.#graceMs = o.graceMs
  }

  async start(): Promise<void> {
    for (const row of await this.#rows.all()) this.#left.set(row.deviceId, row)
    this.#leftUntilMs = this.#clock.nowMs() + this.#graceMs
  }

  /** Finishes what is to be recorded, or gives up at the first failure: the rows are there for the next start. */
  async close(): Promise<void> {
    await this.#running
    if (this.#changed.size > 0 || this.#endedRows.length > 0) await this.#run()
    for (const line of this.#lines.all()) this.#lines.end(line)
  }

  /** A session has begun or ended on this line. */
  changed(line: Line): void {
    const left = this.#left.get(line.deviceId)
    if (left && line.live) {
      // It has returned after our stop: the stream says already that it is online, if the tenure is still the same.
      this.#left.delete(line.deviceId)
      if (left.tenureId === line.tenure.tenureId) line.recorded ??= 'online'
    }
    this.#changed.add(line)
    this.#wake()
  }

  /** The tenure has ended: nothing is written into it any more. */
  ended(line: Line): void {
    this.#changed.delete(line)
    this.#endedRows.push(rowOf(line))
    this.#lines.end(line)
    this.#wake()
  }

  /** Tries again what failed, and records those that have not returned within the grace. */
  tick(nowMs: number): void {
    for (const line of this.#lingering) if (!line.live) this.#changed.add(line)
    this.#lingering.clear()
    if (this.#changed.size > 0 || this.#endedRows.length > 0) this.#wake()
    if (this.#left.size > 0 && nowMs >= this.#leftUntilMs) this.#wake()
  }

  #wake(): void {
    if (this.#running !== undefined) return
    // Later in this turn or the next one: what changes together is recorded together.
    this.#running = new Promise<void>((resolve) => setImmediate(resolve))
      .then(() => this.#run())
      .finally(() => {
        this.#running = undefined
      })
  }

  async #run(): Promise<void> {
    try {
      do {
        await this.#findAbsent()
        while (this.#changed.size > 0) await this.#record(this.#take())
      } while (this.#absentDue())
      const ended = this.#endedRows
      await this.#rows.remove(ended)
      this.#endedRows = this.#endedRows.slice(ended.length)
    } catch (error) {
      this.failures += 1
      this.#log.warn('availability could not be recorded; it will be tried again', { error })
    }
  }

  #take(): Line[] {
    const batch = [...this.#changed].slice(0, AT_ONCE)
    for (const line of batch) this.#changed.delete(line)
    return batch
  }

  async #record(batch: Line[]): Promise<void> {
    try {
      // The row first: if we stop between the two, the device is looked after at the next start.
      await this.#rows.put(batch.filter((line) => line.live && line.recorded !== 'online').map(rowOf))
      const results = await Promise.allSettled(batch.map((line) => this.#recordLine(line)))
      const failed = results.find((result) => result.status === 'rejected')
      const offline = batch.filter((line) => !line.live && !line.ended && line.recorded !== 'online')
      await this.#rows.remove(offline.map(rowOf))
      for (const line of offline) if (!line.live) this.#settle(line)
      if (failed) throw failed.reason
    } catch (error) {
      for (const line of batch) if (!line.ended && !agrees(line)) this.#changed.add(line)
      throw error
    }
  }

  async #recordLine(line: Line): Promise<void> {
    const { live } = line
    if (line.ended || agrees(line)) return
    await line.writer.append({ ...AVAILABILITY, payload: live ? ONLINE : OFFLINE })
    line.recorded = live ? 'online' : 'offline'
    // It came or went in the meantime.
    if (line.live !== live) this.#changed.add(line)
  }

  /** Without a session, with all recorded and nothing in flight, there is nothing left to keep. */
  #settle(line: Line): void {
    if (!line.resends.busy) this.#lines.end(line)
    else this.#lingering.add(line)
  }

  #absentDue(): boolean {
    return this.#left.size > 0 && this.#clock.nowMs() >= this.#leftUntilMs
  }

  async #findAbsent(): Promise<void> {
    if (!this.#absentDue()) return
    const rows = [...this.#left.values()].slice(0, AT_ONCE)
    const results = await Promise.allSettled(rows.map((row) => this.#findAbsentDevice(row)))
    const failed = results.find((result) => result.status === 'rejected')
    if (failed) throw failed.reason
  }

  async #findAbsentDevice(row: SessionRow): Promise<void> {
    const tenure = await this.#registry.currentTenure(row.deviceId)
    const line = tenure?.tenureId === row.tenureId ? await this.#lines.open(tenure) : undefined
    // It may have returned while we asked.
    if (!this.#left.delete(row.deviceId)) return
    if (line === undefined) this.#endedRows.push(row)
    else if (!line.live) {
      line.recorded ??= 'online'
      this.#changed.add(line)
    }
  }
}

function rowOf(line: Line): SessionRow {
  return { deviceId: line.deviceId, tenureId: line.tenure.tenureId }
}

function agrees(line: Line): boolean {
  // A line that never was online and is not now has nothing to tell.
  return line.live ? line.recorded === 'online' : line.recorded !== 'online'
}
