import type { Cache, Caches, DeviceId, Secret } from '../core/index.ts'
import type { Tenure } from '../registry/index.ts'
import type { StreamWriter } from '../stream/index.ts'
import type { GatewayRegistry, GatewayStream } from './face.ts'
import { Resends, resendKey } from './resends.ts'

/**
 * What the gateway holds for a device in one tenure: the way into the stream, the memory of resends, and what has been
 * recorded of its availability. It outlives a connection until all of that is settled, so that a device that returns
 * at once finds it as it was, and it ends with the tenure.
 */
export interface Line {
  readonly deviceId: DeviceId
  readonly tenure: Tenure
  readonly writer: StreamWriter
  readonly resends: Resends
  /** The device has a session now. */
  live: boolean
  /** What the stream says last of the device; undefined when nothing of this node is known. */
  recorded: 'online' | 'offline' | undefined
  /** Of this node's row for the device; undefined before it is written. */
  turn: number | undefined
  /** The tenure has ended: nothing more is written. */
  ended: boolean
}

/** Lines by device: at most one, that of the device's current tenure. */
export class Lines {
  readonly #stream: GatewayStream
  readonly #registry: Pick<GatewayRegistry, 'formerTenures'>
  readonly #secrets: readonly Buffer[]
  readonly #lines: Cache<DeviceId, Line>

  /** `resendSecrets`: newest first. */
  constructor(o: {
    stream: GatewayStream
    registry: Pick<GatewayRegistry, 'formerTenures'>
    resendSecrets: readonly Secret[]
    caches: Caches
  }) {
    this.#lines = o.caches.create({ name: 'lines', belongs: (line, id) => line.deviceId === id })
    this.#stream = o.stream
    this.#registry = o.registry
    this.#secrets = o.resendSecrets.map(resendKey)
  }

  get size(): number {
    return this.#lines.size
  }

  get(deviceId: DeviceId): Line | undefined {
    return this.#lines.find(deviceId)
  }

  all(): Line[] {
    return [...this.#lines.values()]
  }

  /** @throws AppError not_found when the tenure's key was destroyed, unavailable, integrity_failed */
  async open(tenure: Tenure): Promise<Line> {
    const { deviceId, tenureId } = tenure
    const present = this.#lines.get(deviceId)
    if (present?.tenure.tenureId === tenureId) return present
    const writer = await this.#stream.writer(tenure)
    const other = this.#lines.find(deviceId)
    if (other?.tenure.tenureId === tenureId) {
      writer.close()
      return other
    }
    const line: Line = {
      deviceId,
      tenure,
      writer,
      resends: new Resends({
        stream: this.#stream,
        tenureId,
        formerTenures: () => this.#registry.formerTenures(deviceId),
        secrets: this.#secrets,
      }),
      live: false,
      recorded: undefined,
      turn: undefined,
      ended: false,
    }
    if (other) this.end(other)
    this.#lines.set(deviceId, line)
    return line
  }

  /** Forgets the line; what it has in flight still commits. */
  end(line: Line): void {
    line.ended = true
    line.live = false
    line.writer.close()
    if (this.#lines.find(line.deviceId) === line) this.#lines.delete(line.deviceId)
  }
}
