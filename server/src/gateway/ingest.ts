import { isAscii, isUtf8 } from 'node:buffer'
import { type DeviceId, isAppError, type Secret } from '../core/index.ts'
import type { Model } from '../registry/index.ts'
import { type Connection, hold } from './connection.ts'
import type { Line } from './lines.ts'
import { decodePublish, emptyPublish, type PublishFields } from './publish-codec.ts'
import { encodePubackRefusal } from './rare-packets.ts'
import { cutOff, type Refusal, reason } from './reason-codes.ts'
import { type Flight, keyBytes, type Resends } from './resends.ts'
import { takeReset } from './resets.ts'
import { type Answer, isOwnCommand } from './rotation.ts'
import type { SessionContext } from './session-context.ts'
import { isOwnTopic, type PublishKind, publishKind, refusePublishTopic, type Topics } from './topics.ts'

/** The session whose publishes these are. */
export interface Publisher {
  readonly deviceId: DeviceId
  readonly connection: Connection
  readonly context: SessionContext
  readonly topics: Topics
  readonly model: Model
  readonly line: Line | undefined
  readonly wantsReasons: boolean
  sendError(topic: string, text: string): void
  ownAnswer(answer: Answer): void
}

/** A publish of QoS 1 that waits for its PUBACK, in the order of receipt. */
interface Pending {
  packetId: number
  state: 'waiting' | 'done'
  refusal: Refusal | undefined
}

interface CheckedPayload {
  paths: readonly string[]
  messageId: string | undefined
  reset?: boolean
  softwareVersion?: number | undefined
  claimCode?: Secret | undefined
  /** To a command of the server itself. */
  ownAnswer?: Answer
}

/**
 * The way up of one session: PUBLISH → own topic → fits the model → sealed and committed by the stream → PUBACK, in
 * the order of receipt [MQTT-4.6.0-2].
 */
export class Ingest {
  readonly #session: Publisher
  readonly #fields: PublishFields = emptyPublish()
  readonly #pending: Pending[] = []
  // Appends of QoS 0, which Receive Maximum does not bound.
  #unacknowledged = 0
  // While a reset is being recorded: what is done once it is answered.
  #afterReset: (() => void)[] | undefined

  constructor(session: Publisher) {
    this.#session = session
  }

  get inFlight(): number {
    return this.#pending.length + this.#unacknowledged
  }

  /** The packet in the connection's reader. */
  publish(): void {
    const session = this.#session
    const { connection, context } = session
    const { reader } = connection
    const fields = this.#fields
    const fault = decodePublish(
      fields,
      reader.buffer,
      reader.header,
      reader.start,
      reader.end,
      connection.version,
    )
    if (fault) {
      connection.close(fault, 'a PUBLISH is malformed or breaks the protocol')
      return
    }
    if (fields.qos === 2) {
      connection.close(reason.qosNotSupported, 'QoS 2 is not offered')
      return
    } // [MQTT-3.2.2-11]
    if (fields.retain) {
      connection.close(reason.retainNotSupported, 'retained messages are not kept here')
      return
    } // [MQTT-3.2.2-14]
    // It may be another household's by now, and we would not know.
    if (!context.lease.holds()) {
      connection.close(cutOff.code, cutOff.text)
      return
    }
    const kind = publishKind(session.topics, fields.topic)
    if (this.#mustWait()) return
    if (kind === undefined) {
      this.#refuseTopic()
      return
    }
    const checked = checkPayload(session.model, kind, fields.payload)
    if ('code' in checked) {
      this.#refuse(checked)
      return
    }
    if (checked.ownAnswer) {
      session.ownAnswer(checked.ownAnswer)
      this.#settled()
      return
    }
    if (checked.softwareVersion !== undefined)
      context.connections?.told(session.deviceId, checked.softwareVersion)
    const { line } = session
    if (checked.reset && checked.messageId !== undefined) {
      this.#reset(checked.messageId, checked.paths, checked.claimCode)
      return
    }
    if (line === undefined) {
      this.#refuse({
        code: reason.notAuthorized,
        text: 'not claimed: nothing is kept before somebody holds the device',
      })
      return
    }
    const key = this.#key(line.resends, kind, checked.messageId)
    if (key !== undefined && (fields.dup || checked.messageId !== undefined)) {
      if (!line.resends.loaded) {
        this.#loadResends(line)
        return
      }
      const earlier = this.#earlier(line.resends, kind, checked.messageId)
      if (earlier !== undefined) {
        this.#resent(earlier)
        return
      }
    }
    context.counters.publishes += 1
    const settled = line.writer.append({
      kind,
      payload: fields.payload,
      paths: checked.paths,
      messageKey: key === undefined ? undefined : keyBytes(key),
    })
    const flight = key === undefined ? undefined : { key, settled }
    if (flight) line.resends.takeOff(flight)
    this.#track(settled, line, flight)
  }

  /** Back-pressure: the packet stays in the reader, and no more is read until there is room. */
  #mustWait(): boolean {
    const { connection, context } = this.#session
    const { receiveMaximum } = context.limits
    if (context.stream.congested) {
      context.congested.add(connection)
      connection.hold(hold.congested)
    } else if (this.#pending.length >= receiveMaximum && this.#fields.qos === 1 && connection.version === 5) {
      // MQTT 5 section 3.3.4: it was told in CONNACK.
      connection.close(
        reason.receiveMaximumExceeded,
        `at most ${receiveMaximum} publishes may be unacknowledged`,
      )
      return true
    } else if (this.inFlight >= 2 * receiveMaximum || this.#pending.length >= receiveMaximum) {
      connection.hold(hold.inFlight)
    } else return false
    connection.reader.again()
    return true
  }

  #key(resends: Resends, kind: PublishKind, messageId: string | undefined, age = 0): string | undefined {
    const { qos, packetId, payload } = this.#fields
    if (messageId !== undefined) return resends.keyOfMessageId(messageId, age)
    return qos === 1 ? resends.keyOfPacket(kind, packetId, payload, age) : undefined
  }

  /** The same message, by whichever secret it was stored, in this tenure or in one before. */
  #earlier(present: Resends, kind: PublishKind, messageId: string | undefined) {
    for (const resends of [present, ...present.former]) {
      for (let age = 0; age < resends.ages; age += 1) {
        const earlier = resends.find(this.#key(resends, kind, messageId, age) as string)
        if (earlier !== undefined) return earlier
      }
    }
    return undefined
  }

  #loadResends(line: Line): void {
    const { connection } = this.#session
    connection.reader.again()
    connection.hold(hold.resends)
    line.resends.load().then(
      () => connection.lift(hold.resends),
      (error: unknown) => this.#lost(error),
    )
  }

  /** At once, or after the answer to a reset that is being recorded. */
  whenResetIsAnswered(then: () => void): void {
    if (this.#afterReset) this.#afterReset.push(then)
    else then()
  }

  /** Nothing that comes after it is read before it is settled: that may be of no tenure any more. */
  #reset(messageId: string, paths: readonly string[], claimCode: Secret | undefined): void {
    const { connection, context, deviceId, line } = this.#session
    const { qos, packetId } = this.#fields
    const pending: Pending | undefined =
      qos === 0 ? undefined : { packetId, state: 'waiting', refusal: undefined }
    if (pending) this.#pending.push(pending)
    else this.#unacknowledged += 1
    // The packet's bytes are the reader's, and used again.
    const payload = Buffer.from(this.#fields.payload)
    this.#afterReset = []
    connection.hold(hold.reset)
    takeReset(context.registry, { deviceId, messageId, payload, paths, claimCode }, line)
      .then(
        () => this.#landed(pending),
        (error: unknown) => this.#lost(error),
      )
      .finally(() => {
        const after = this.#afterReset ?? []
        this.#afterReset = undefined
        for (const then of after) then()
        connection.lift(hold.reset)
      })
  }

  #resent(earlier: Flight | 'recorded'): void {
    this.#session.context.counters.recognisedResends += 1
    if (earlier !== 'recorded') this.#track(earlier.settled, undefined, undefined)
    else this.#settled()
  }

  /** There is nothing to record: it is acknowledged in its turn. */
  #settled(): void {
    if (this.#fields.qos !== 1) return
    this.#pending.push({ packetId: this.#fields.packetId, state: 'done', refusal: undefined })
    this.#acknowledge()
  }

  #track(settled: Promise<void>, line: Line | undefined, flight: Flight | undefined): void {
    const { qos, packetId } = this.#fields
    const pending: Pending | undefined =
      qos === 0 ? undefined : { packetId, state: 'waiting', refusal: undefined }
    if (pending) this.#pending.push(pending)
    else this.#unacknowledged += 1
    settled.then(
      () => {
        if (flight) line?.resends.land(flight, true)
        this.#landed(pending)
      },
      (error: unknown) => {
        if (flight) line?.resends.land(flight, false)
        this.#failed(error, pending)
      },
    )
  }

  #landed(pending: Pending | undefined): void {
    if (pending) {
      pending.state = 'done'
      this.#acknowledge()
      return
    }
    this.#unacknowledged -= 1
    this.#session.connection.lift(hold.inFlight)
  }

  #acknowledge(): void {
    const { connection, context } = this.#session
    const pending = this.#pending
    while (pending[0]?.state === 'done') {
      const { packetId, refusal } = pending.shift() as Pending
      if (refusal && connection.version === 5) {
        const text = this.#session.wantsReasons ? refusal.text : undefined
        connection.outgoing.send(encodePubackRefusal(packetId, refusal.code, text))
      } else connection.outgoing.ack(packetId)
      context.counters.acknowledged += 1
    }
    connection.lift(hold.inFlight)
  }

  #failed(error: unknown, pending: Pending | undefined): void {
    // QoS 0 promises nothing (MQTT 5 section 4.3.1), and there is no way to tell the device.
    if (pending === undefined) {
      this.#landed(undefined)
      return
    }
    if (!isAppError(error, 'too_large') && !isAppError(error, 'invalid_request')) {
      this.#lost(error)
      return
    }
    // It would never be taken: the device must not send it for ever.
    pending.refusal = { code: reason.quotaExceeded, text: 'the message is larger than is kept' }
    this.#landed(pending)
  }

  /** The outcome is unknown or bad: without a PUBACK, the device sends it again on its next connection. */
  #lost(error: unknown): void {
    const { connection, context } = this.#session
    if (!isAppError(error)) context.log.error('a publish could not be recorded', { error })
    if (isAppError(error, 'stale_tenure'))
      connection.close(reason.administrativeAction, 'the tenure of this device has ended')
    else connection.close(reason.serverBusy, 'the message could not be recorded: send it again')
  }

  #refuseTopic(): void {
    const { connection, topics } = this.#session
    const { topic, qos } = this.#fields
    const refusal = refusePublishTopic(topics, topic)
    // There is no gentler way to say it: 3.1.1 has no reason codes, QoS 0 has no answer.
    if (!isOwnTopic(topics, topic) && (connection.version !== 5 || qos === 0)) {
      connection.close(refusal.code, refusal.text)
      return
    }
    this.#refuse(refusal)
  }

  #refuse(refusal: Refusal): void {
    const session = this.#session
    const { topic, qos, packetId } = this.#fields
    session.context.counters.refusedPublishes += 1
    if (session.connection.version !== 5 || qos === 0)
      session.sendError(isOwnTopic(session.topics, topic) ? topic : '', refusal.text)
    if (qos === 0) return
    this.#pending.push({ packetId, state: 'done', refusal })
    this.#acknowledge()
  }
}

function checkPayload(model: Model, kind: PublishKind, payload: Buffer): CheckedPayload | Refusal {
  const text = isAscii(payload)
    ? payload.toString('latin1')
    : isUtf8(payload)
      ? payload.toString('utf8')
      : undefined
  if (text === undefined) return { code: reason.payloadFormatInvalid, text: 'the payload is not UTF-8' }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { code: reason.payloadFormatInvalid, text: 'the payload is not JSON' }
  }
  const checked =
    kind === 'attributes'
      ? model.checkAttributes(value)
      : kind === 'events'
        ? model.checkEvents(value)
        : model.checkResult(value)
  if (!checked.ok) return { code: reason.payloadFormatInvalid, text: checked.reason }
  if ('commandId' in checked) {
    const none = { paths: checked.paths, messageId: undefined }
    return isOwnCommand(checked.commandId) ? { ...none, ownAnswer: value as Answer } : none
  }
  return {
    paths: checked.paths,
    messageId: checked.messageId,
    reset: checked.reset === true,
    claimCode: checked.claimCode,
    softwareVersion: kind === 'attributes' ? softwareVersion(checked.paths, value as object) : undefined,
  }
}

const SOFTWARE_VERSION = '/BasicInformation.SoftwareVersion'

/** Of a checked payload. A name without an endpoint is of the first. */
function softwareVersion(paths: readonly string[], payload: object): number | undefined {
  const path = paths.find((each) => each.endsWith(SOFTWARE_VERSION))
  if (path === undefined) return undefined
  const values = payload as Record<string, unknown>
  const value = values[path] ?? values[SOFTWARE_VERSION.slice(1)]
  return typeof value === 'number' ? value : undefined
}
