import { AppError, type Bus, type Clock, type DeviceId, type Log } from '../core/index.ts'
import { contentOf } from './availability.ts'
import type { GatewayRegistry } from './face.ts'
import type { Line, Lines } from './lines.ts'
import type { SessionRow, SessionRows } from './session-rows.ts'

const AVAILABILITY = { kind: 'availability', paths: ['$availability'] } as const
const ONLINE = contentOf({ online: true })
const OFFLINE = contentOf({ online: false })
/** Lines whose records are written at once: bounds what a mass disconnect puts into the stream together. */
const AT_ONCE = 500
/** How often to look for nodes that are gone. */
const LOOK_EVERY_MS = 2_000

/** A device has connected to the sending node. */
const TAKEN = 'gateway.taken'
/** The stream was told that the device is offline while it connected to another node. */
const STALE = 'gateway.stale'

/**
 * The server's own knowledge of who is connected, written to the stream. Compares what holds with what is recorded and
 * records the difference, so that it may fail and be tried again, and short interruptions and moves from node to node
 * cost nothing. Sees to it that a device has one session on all nodes together: the newest.
 */
export class Presence {
  failures = 0
  readonly #lines: Lines
  readonly #rows: SessionRows
  readonly #registry: GatewayRegistry
  readonly #bus: Bus | undefined
  readonly #clock: Clock
  readonly #log: Log
  readonly #graceMs: number
  readonly #onMoved: (deviceId: DeviceId) => void
  readonly #changed = new Set<Line>()
  // Offline, but what they published is not all committed yet.
  readonly #lingering = new Set<Line>()
  // Devices that may have connected to another node.
  readonly #contested = new Set<DeviceId>()
  #endedRows: SessionRow[] = []
  // Of nodes that are gone: whoever returns is found in `#lines`.
  #absent: SessionRow[] = []
  #startedAtMs = 0
  #lookAtMs = 0
  #running: Promise<void> | undefined
  #stopListening: (() => void)[] = []

  constructor(o: {
    lines: Lines
    rows: SessionRows
    registry: GatewayRegistry
    bus: Bus | undefined
    clock: Clock
    log: Log
    graceMs: number
    /** The device has connected to another node; its line is told of already. */
    onMoved: (deviceId: DeviceId) => void
  }) {
    this.#lines = o.lines
    this.#rows = o.rows
    this.#registry = o.registry
    this.#bus = o.bus
    this.#clock = o.clock
    this.#log = o.log
    this.#graceMs = o.graceMs
    this.#onMoved = o.onMoved
  }

  start(): void {
    this.#startedAtMs = this.#clock.nowMs()
    const bus = this.#bus
    if (!bus) return
    this.#stopListening = [
      bus.subscribe(TAKEN, ({ payload, own }) => (own ? undefined : this.#contest([payload as DeviceId]))),
      bus.subscribe(STALE, ({ payload }) => this.#recordAgain(payload as DeviceId)),
      bus.onGap(() => this.#contest(this.#lines.all().map((line) => line.deviceId))),
    ]
  }

  /** Finishes what is to be recorded, or gives up at the first failure: the rows are there for other nodes. */
  async close(): Promise<void> {
    for (const stop of this.#stopListening) stop()
    await this.#running
    if (this.#changed.size > 0 || this.#endedRows.length > 0) await this.#run()
    for (const line of this.#lines.all()) this.#lines.end(line)
  }

  /** A session has begun or ended on this line. */
  changed(line: Line): void {
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
    const due = nowMs >= this.#lookAtMs && nowMs - this.#startedAtMs >= this.#graceMs
    if (due || this.#changed.size + this.#endedRows.length + this.#contested.size > 0) this.#wake()
  }

  /** Settles once it is known who has them; the node that is not the newest lets go. */
  async #contest(deviceIds: DeviceId[]): Promise<void> {
    const known = deviceIds.filter((deviceId) => this.#lines.get(deviceId))
    for (const deviceId of known) this.#contested.add(deviceId)
    const open = () => known.some((deviceId) => this.#contested.has(deviceId))
    // Twice: a run that is under way may have looked already.
    for (let runs = 0; runs < 2 && open(); runs += 1) {
      this.#wake()
      await this.#running
    }
    if (open()) throw new AppError('unavailable', { detail: 'who has a device could not be read' })
  }

  #recordAgain(deviceId: DeviceId): void {
    const line = this.#lines.get(deviceId)
    if (!line?.live) return
    line.recorded = 'offline'
    this.changed(line)
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
        await this.#letGo()
      } while (this.#absent.length > 0 || this.#changed.size > 0 || this.#contested.size > 0)
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
      // The row first: if we stop between the two, another node looks after the device.
      const coming = batch.filter((line) => line.live && line.recorded !== 'online')
      await this.#takeRows(coming)
      const going = batch.filter((line) => !line.live && !line.ended && line.recorded === 'online')
      const ours = await this.#rows.leave(going.map(rowOf))
      // Connected elsewhere meanwhile: that is no interruption.
      for (const line of going) if (!ours.has(line.deviceId)) line.recorded = undefined
      const results = await Promise.allSettled(batch.map((line) => this.#recordLine(line)))
      await this.#rows.confirm(coming.filter((line) => line.recorded === 'online').map(rowOf))
      const failed = results.find((result) => result.status === 'rejected')
      const offline = batch.filter((line) => !line.live && !line.ended && line.recorded !== 'online')
      const removed = await this.#rows.remove(offline.map(rowOf))
      for (const line of offline) {
        if (ours.has(line.deviceId) && !removed.has(line.deviceId)) await this.#tell(STALE, line.deviceId)
        if (!line.live) this.#settle(line)
      }
      if (failed) throw failed.reason
    } catch (error) {
      for (const line of batch) if (!line.ended && !agrees(line)) this.#changed.add(line)
      throw error
    }
  }

  async #takeRows(lines: Line[]): Promise<void> {
    const taken = await this.#rows.take(lines.map(rowOf))
    for (const line of lines) {
      const { turn, recorded, former } = taken.get(line.deviceId) ?? {}
      line.turn = turn
      if (line.ended) this.#endedRows.push(rowOf(line))
      // It was connected elsewhere, or before our stop: the stream says already that it is online.
      if (recorded) line.recorded ??= 'online'
      if (former !== undefined) await this.#tell(TAKEN, line.deviceId)
    }
  }

  async #tell(topic: string, deviceId: DeviceId): Promise<void> {
    await this.#bus?.publish(undefined, topic, deviceId)
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

  /** Of what is contested, what is not ours any more. */
  async #letGo(): Promise<void> {
    const contested = [...this.#contested].slice(0, AT_ONCE)
    for (const deviceId of await this.#rows.elsewhere(contested)) {
      const line = this.#lines.get(deviceId)
      if (!line?.live) continue
      line.recorded = undefined
      this.#onMoved(deviceId)
    }
    for (const deviceId of contested) this.#contested.delete(deviceId)
  }

  async #findAbsent(): Promise<void> {
    if (this.#absent.length === 0) await this.#adopt()
    const rows = this.#absent.slice(0, AT_ONCE)
    const results = await Promise.allSettled(rows.map((row) => this.#findAbsentDevice(row)))
    const failed = results.find((result) => result.status === 'rejected')
    if (failed) throw failed.reason
    this.#absent = this.#absent.slice(rows.length)
  }

  async #adopt(): Promise<void> {
    const nowMs = this.#clock.nowMs()
    if (nowMs < this.#lookAtMs || nowMs - this.#startedAtMs < this.#graceMs) return
    for (const node of await this.#rows.otherNodes())
      if (!this.#bus?.heard(node, this.#graceMs))
        this.#absent.push(...(await this.#rows.adopt(node, AT_ONCE)))
    // There may be more where these came from.
    if (this.#absent.length === 0) this.#lookAtMs = nowMs + LOOK_EVERY_MS
  }

  async #findAbsentDevice(row: SessionRow): Promise<void> {
    const tenure = await this.#registry.currentTenure(row.deviceId)
    const line = tenure?.tenureId === row.tenureId ? await this.#lines.open(tenure) : undefined
    if (line === undefined) this.#endedRows.push(row)
    // It may have returned while we asked.
    else if (!line.live) {
      line.turn = row.turn
      line.recorded ??= 'online'
      this.#changed.add(line)
    }
  }
}

function rowOf({ deviceId, tenure, turn }: Line): SessionRow {
  return { deviceId, tenureId: tenure.tenureId, turn }
}

function agrees(line: Line): boolean {
  // A line that never was online and is not now has nothing to tell.
  return line.live ? line.recorded === 'online' : line.recorded !== 'online'
}
