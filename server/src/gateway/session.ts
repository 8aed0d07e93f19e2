import type { IConnectPacket, Packet } from 'mqtt-packet'
import type { CommandId, DeviceId, TenureId } from '../core/index.ts'
import type { Model } from '../registry/index.ts'
import { type Connection, hold, type PacketHandler } from './connection.ts'
import { Deliveries } from './deliveries.ts'
import type { CommandDelivery } from './face.ts'
import { Ingest, type Publisher } from './ingest.ts'
import type { Line } from './lines.ts'
import { decodePuback, encodePublish } from './publish-codec.ts'
import { encodeSuback, encodeUnsuback, parsePacket, pingresp } from './rare-packets.ts'
import { type Refusal, reason } from './reason-codes.ts'
import { type Answer, isOwnCommand, Rotation } from './rotation.ts'
import type { SessionContext } from './session-context.ts'
import { Subscriptions } from './subscriptions.ts'
import { type Topics, topicsOf } from './topics.ts'

/** A device that is connected: what it may send, and what goes down to it. */
export class Session implements PacketHandler, Publisher {
  readonly deviceId: DeviceId
  readonly model: Model
  readonly topics: Topics
  readonly connection: Connection
  readonly context: SessionContext
  readonly subscriptions: Subscriptions
  /** The line of the present tenure; undefined while nobody holds the device. */
  line: Line | undefined
  /** The tenure that the device is in, from the moment that the change is known. */
  tenureId: TenureId | undefined
  /** In which the device has proved who it is. */
  readonly epoch: number
  /** `suspended`: a reset may have made it void. Neither acts. */
  #standing: 'good' | 'suspended' | 'void' = 'good'
  /** MQTT 5 section 3.1.2.11.7: whether the device wants reason strings. */
  readonly wantsReasons: boolean
  readonly #maxPacketBytes: number
  readonly #receiveMaximum: number
  // Most sessions have no command on its way.
  #deliveries: Deliveries | undefined
  readonly #ingest: Ingest
  readonly #onEnd: (session: Session) => void
  readonly #rotation: Rotation
  #rotationDue: boolean

  constructor(o: {
    deviceId: DeviceId
    model: Model
    rotationDue: boolean
    epoch: number
    line: Line | undefined
    connection: Connection
    context: SessionContext
    connect: IConnectPacket
    onEnd: (session: Session) => void
  }) {
    const { connect, context, connection } = o
    const { limits } = context
    const properties = connect.properties ?? {}
    this.deviceId = o.deviceId
    this.model = o.model
    this.epoch = o.epoch
    this.line = o.line
    this.tenureId = o.line?.tenure.tenureId
    this.#onEnd = o.onEnd
    this.connection = connection
    this.context = context
    this.topics = topicsOf(o.deviceId)
    this.subscriptions = new Subscriptions(this.topics, limits.subscriptions)
    this.wantsReasons = properties.requestProblemInformation !== false
    this.#maxPacketBytes = properties.maximumPacketSize ?? Number.MAX_SAFE_INTEGER
    this.#receiveMaximum = Math.min(properties.receiveMaximum ?? 20, limits.outgoingMessages)
    this.#ingest = new Ingest(this)
    this.#rotationDue = o.rotationDue
    this.#rotation = new Rotation({
      deviceId: o.deviceId,
      registry: context.registry,
      clock: context.clock,
      log: context.log,
      send: (commandId, payload) => this.#send(commandId, payload),
    })
  }

  /** Publishes that wait for the stream. */
  get inFlight(): number {
    return this.#ingest.inFlight
  }

  /** Whether it may act. */
  get isGood(): boolean {
    return this.#standing === 'good'
  }

  suspend(): void {
    if (this.#standing === 'good') this.#standing = 'suspended'
  }

  resume(): void {
    if (this.#standing !== 'suspended') return
    this.#standing = 'good'
    this.connection.lift(hold.void)
    if (this.subscriptions.commands !== undefined) this.#ready()
  }

  /** It stays open until it is closed, and neither says nor is told anything. @returns false when it was void before */
  makeVoid(): boolean {
    if (this.#standing === 'void') return false
    this.#standing = 'void'
    this.#deliveries?.clear()
    return true
  }

  packet(): void {
    const { reader } = this.connection
    if (this.#standing !== 'good') {
      // It waits: for the answer, or for the end.
      reader.again()
      this.connection.hold(hold.void)
      return
    }
    switch (reader.header >> 4) {
      case 3:
        this.#ingest.publish()
        break
      case 4:
        this.#puback()
        break
      case 12:
        if (reader.header === 0xc0 && reader.start === reader.end) this.connection.outgoing.send(pingresp)
        else this.#malformed()
        break
      case 14:
        this.connection.end()
        break
      default:
        this.#rare()
    }
  }

  closed(): void {
    this.#deliveries?.clear()
    this.context.congested.delete(this.connection)
    this.#onEnd(this)
  }

  close({ code, text }: Refusal): void {
    this.connection.close(code, text)
  }

  deliver({ tenureId, commandId, payload }: CommandDelivery): boolean {
    const { commands } = this.subscriptions
    if (commands === undefined || this.line?.tenure.tenureId !== tenureId || !this.connection.open)
      return false
    return this.#send(commandId, payload)
  }

  #send(commandId: CommandId, payload: Buffer): boolean {
    // [MQTT-3.1.2-24] nothing larger than the device said it takes; the topic and headers are below 128 bytes.
    if (payload.length + 128 > this.#maxPacketBytes || !this.connection.open || !this.isGood) return false
    if (this.subscriptions.commands === 1) {
      this.#deliveries ??= new Deliveries({
        capacity: this.context.limits.outgoingMessages,
        receiveMaximum: this.#receiveMaximum,
        send: (body, packetId) => this.#sendCommand(body, 1, packetId),
      })
      return this.#deliveries.add(commandId, payload)
    }
    // Nothing tells that it arrived: it counts as delivered when its result comes.
    this.#sendCommand(payload, 0, 0)
    return true
  }

  /** The device's answer to a command of the server itself. */
  ownAnswer(answer: Answer): void {
    void this.#rotation.answer(answer)
  }

  /** For what the protocol has no answer to: 3.1.1, and QoS 0. */
  sendError(topic: string, text: string): void {
    if (this.subscriptions.errors === undefined) return
    const payload = Buffer.from(JSON.stringify({ topic, reason: text }))
    if (payload.length + 128 > this.#maxPacketBytes) return
    const { connection } = this
    connection.outgoing.send(encodePublish(connection.version, this.topics.errors, 0, 0, payload))
  }

  /** The first claim: the session goes on in the new tenure. Nothing is read until its line is open. */
  enteringTenure(tenureId: TenureId): void {
    this.tenureId = tenureId
    this.connection.hold(hold.tenure)
  }

  enteredTenure(line: Line): void {
    this.line = line
    this.connection.lift(hold.tenure)
    if (this.connection.open && this.subscriptions.commands !== undefined) this.#ready()
    this.#askForRotation()
  }

  /** A tenure that begins may be what makes a new key due. */
  #askForRotation(): void {
    const { registry, log } = this.context
    registry.isRotationDue(this.deviceId).then(
      (due) => {
        this.#rotationDue ||= due
        this.#rotate()
      },
      // It is asked for again when the device connects next.
      (error: unknown) => log.debug('whether a new key is due could not be read', { error }),
    )
  }

  #rotate(): void {
    if (this.#rotationDue && this.subscriptions.commands !== undefined && this.connection.open) {
      this.#rotation.begin()
    }
  }

  /** Nothing of the old tenure goes out any more. A reset that ended it is acknowledged first. */
  leaveTenure(refusal: Refusal): void {
    this.#deliveries?.clear()
    this.line = undefined
    this.tenureId = undefined
    this.#ingest.whenResetIsAnswered(() => this.close(refusal))
  }

  #ready(): void {
    if (this.line) this.context.onDeviceReady(this.deviceId, this.line.tenure.tenureId)
  }

  #sendCommand(payload: Buffer, qos: 0 | 1, packetId: number): void {
    const { connection } = this
    connection.outgoing.send(encodePublish(connection.version, this.topics.commands, qos, packetId, payload))
    this.context.counters.commandsSent += 1
  }

  #puback(): void {
    const { reader, version } = this.connection
    if (reader.header !== 0x40) {
      this.#malformed()
      return
    }
    const answer = decodePuback(reader.buffer, reader.start, reader.end, version)
    if (answer < 0) {
      this.#malformed()
      return
    }
    const commandId = this.#deliveries?.acknowledge(answer >> 8)
    // A device that refuses a message has not taken the command.
    if (commandId === undefined || (answer & 0xff) >= reason.unspecified || this.line === undefined) return
    if (isOwnCommand(commandId)) return
    this.context.counters.commandsDelivered += 1
    this.context.onCommandDelivered(commandId, this.deviceId, this.line.tenure.tenureId)
  }

  #rare(): void {
    const { reader, version } = this.connection
    const packet = parsePacket(reader.bytes(), version)
    if (packet === undefined) {
      this.#malformed()
      return
    }
    if (packet.cmd === 'subscribe') {
      this.#subscribe(packet)
      return
    }
    if (packet.cmd === 'unsubscribe') {
      this.#unsubscribe(packet)
      return
    }
    // A second CONNECT [MQTT-3.1.0-2], AUTH without a method, and all that only a server or QoS 2 sends.
    this.connection.close(reason.protocolError, 'this packet has no place here')
  }

  #subscribe(packet: Extract<Packet, { cmd: 'subscribe' }>): void {
    const { connection, context, subscriptions } = this
    const { messageId, properties } = packet
    if (!messageId || messageId < 1 || packet.subscriptions.length === 0) {
      this.#malformed()
      return
    }
    if (properties?.subscriptionIdentifier !== undefined) {
      connection.close(reason.subscriptionIdentifiersNotSupported, 'subscription identifiers are not offered')
      return
    }
    if (packet.subscriptions.length > context.limits.subscriptions) {
      connection.close(reason.quotaExceeded, 'too many topic filters in one packet')
      return
    }
    const readyBefore = subscriptions.commands !== undefined
    const answers = packet.subscriptions.map((subscription) => subscriptions.add(subscription))
    const granted = answers.map((answer) =>
      typeof answer === 'number' ? answer : connection.version === 5 ? answer.code : 0x80,
    )
    const refusal = answers.find((answer) => typeof answer !== 'number')
    connection.outgoing.send(
      encodeSuback(connection.version, messageId, granted, this.wantsReasons ? refusal?.text : undefined),
    )
    if (readyBefore || subscriptions.commands === undefined) return
    this.#ready()
    this.#rotate()
  }

  #unsubscribe({ messageId, unsubscriptions }: Extract<Packet, { cmd: 'unsubscribe' }>): void {
    if (!messageId || messageId < 1 || unsubscriptions.length === 0) {
      this.#malformed()
      return
    }
    const codes = unsubscriptions.map((filter) => this.subscriptions.remove(filter))
    this.connection.outgoing.send(encodeUnsuback(this.connection.version, messageId, codes))
  }

  #malformed(): void {
    this.connection.close(reason.malformedPacket, 'a packet is malformed')
  }
}
