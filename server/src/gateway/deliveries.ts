import type { CommandId } from '../core/index.ts'

interface Waiting {
  commandId: CommandId
  payload: Buffer
}

/** Commands on their way to one device: sent and not acknowledged, or waiting for the device's Receive Maximum. */
export class Deliveries {
  readonly #capacity: number
  readonly #receiveMaximum: number
  readonly #send: (payload: Buffer, packetId: number) => void
  #waiting: Waiting[] = []
  readonly #sent = new Map<number, CommandId>()
  #lastPacketId = 0

  constructor(o: {
    capacity: number
    /** What the device takes at once (MQTT 5 section 3.1.2.11.3). */
    receiveMaximum: number
    send: (payload: Buffer, packetId: number) => void
  }) {
    this.#capacity = o.capacity
    this.#receiveMaximum = o.receiveMaximum
    this.#send = o.send
  }

  /** False when the queue is full. */
  add(commandId: CommandId, payload: Buffer): boolean {
    if (this.#waiting.length + this.#sent.size >= this.#capacity) return false
    this.#waiting.push({ commandId, payload })
    this.#sendWaiting()
    return true
  }

  /** The command that the device has acknowledged; undefined when the packet identifier is not in use. */
  acknowledge(packetId: number): CommandId | undefined {
    const commandId = this.#sent.get(packetId)
    if (commandId === undefined) return undefined
    this.#sent.delete(packetId)
    this.#sendWaiting()
    return commandId
  }

  /** Nothing more of what waits is sent; acknowledgements of what was sent tell nobody anything any more. */
  clear(): void {
    this.#waiting = []
    this.#sent.clear()
  }

  #sendWaiting(): void {
    while (this.#waiting.length > 0 && this.#sent.size < this.#receiveMaximum) {
      const { commandId, payload } = this.#waiting.shift() as Waiting
      const packetId = this.#freePacketId()
      this.#sent.set(packetId, commandId)
      this.#send(payload, packetId)
    }
  }

  #freePacketId(): number {
    do this.#lastPacketId = (this.#lastPacketId % 65_535) + 1
    while (this.#sent.has(this.#lastPacketId))
    return this.#lastPacketId
  }
}
