import { type ReasonCode, reason } from './reason-codes.ts'

/** A PUBLISH as its fields. One object a session, filled anew for every packet. */
export interface PublishFields {
  /** Byte for byte (latin1): a topic outside ASCII equals none of a device's own. */
  topic: string
  qos: number
  dup: boolean
  retain: boolean
  /** 0 with QoS 0. */
  packetId: number
  /** A view into the received bytes. */
  payload: Buffer
}

export function emptyPublish(): PublishFields {
  return { topic: '', qos: 0, dup: false, retain: false, packetId: 0, payload: Buffer.alloc(0) }
}

/**
 * MQTT 5 section 3.3, MQTT 3.1.1 section 3.3. Reads the packet whose variable header lies at `start`..`end`.
 * Returns 0, or the reason to disconnect with. Never throws.
 */
export function decodePublish(
  into: PublishFields,
  buffer: Buffer,
  header: number,
  start: number,
  end: number,
  version: number,
): ReasonCode {
  const qos = (header >> 1) & 3
  if (qos === 3) return reason.malformedPacket // [MQTT-3.3.1-4]
  if (start + 2 > end) return reason.malformedPacket
  const topicStart = start + 2
  let position = topicStart + (((buffer[start] as number) << 8) | (buffer[start + 1] as number))
  if (position > end) return reason.malformedPacket
  // [MQTT-4.7.3-1]; an empty one would need a topic alias, and none is offered.
  if (position === topicStart) return reason.protocolError
  into.topic = buffer.toString('latin1', topicStart, position)
  into.packetId = 0
  if (qos > 0) {
    if (position + 2 > end) return reason.malformedPacket
    into.packetId = ((buffer[position] as number) << 8) | (buffer[position + 1] as number)
    if (into.packetId === 0) return reason.protocolError // [MQTT-2.2.1-3]
    position += 2
  } else if (header & 8) {
    return reason.protocolError // [MQTT-3.3.1-2] DUP must be 0 with QoS 0
  }
  if (version === 5) {
    if (position < end && buffer[position] === 0) position += 1
    else {
      position = skipPublishProperties(buffer, position, end)
      if (position < 0) return -position as ReasonCode
    }
  }
  into.qos = qos
  into.dup = (header & 8) !== 0
  into.retain = (header & 1) !== 0
  into.payload = buffer.subarray(position, end)
  return reason.success
}

// Property identifiers of a PUBLISH (MQTT 5 section 3.3.2.3).
const PAYLOAD_FORMAT = 0x01
const MESSAGE_EXPIRY = 0x02
const CONTENT_TYPE = 0x03
const RESPONSE_TOPIC = 0x08
const CORRELATION_DATA = 0x09
const SUBSCRIPTION_IDENTIFIER = 0x0b
const TOPIC_ALIAS = 0x23
const USER_PROPERTY = 0x26

/** The position behind the properties, or the reason code, negated. */
function skipPublishProperties(buffer: Buffer, start: number, end: number): number {
  let position = start
  let length = 0
  for (let shift = 0; ; shift += 7) {
    if (shift === 28 || position >= end) return -reason.malformedPacket
    const byte = buffer[position++] as number
    length |= (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  const stop = position + length
  if (stop > end) return -reason.malformedPacket
  let seen = 0
  while (position < stop) {
    const id = buffer[position++] as number
    if (id !== USER_PROPERTY) {
      // Each of them at most once: a second one is a protocol error.
      const bit = id < 31 ? 1 << id : id === TOPIC_ALIAS ? 1 << 31 : 0
      if (seen & bit) return -reason.protocolError
      seen |= bit
    }
    switch (id) {
      case PAYLOAD_FORMAT:
        if (position < stop && (buffer[position] as number) > 1) return -reason.protocolError
        position += 1
        break
      case MESSAGE_EXPIRY:
        position += 4
        break
      case CONTENT_TYPE:
      case RESPONSE_TOPIC:
      case CORRELATION_DATA:
        position = skipField(buffer, position, stop)
        break
      case USER_PROPERTY:
        position = skipField(buffer, skipField(buffer, position, stop), stop)
        break
      case TOPIC_ALIAS:
        // [MQTT-3.2.2-18] Topic Alias Maximum is 0.
        return position + 2 > stop ? -reason.malformedPacket : -reason.topicAliasInvalid
      case SUBSCRIPTION_IDENTIFIER:
        return -reason.protocolError // [MQTT-3.3.4-6] never from a client
      default:
        return -reason.malformedPacket
    }
    if (position > stop) return -reason.malformedPacket
  }
  return stop
}

/** Behind a field of two bytes' length; beyond `stop` when it does not fit. */
function skipField(buffer: Buffer, position: number, stop: number): number {
  if (position + 2 > stop) return stop + 1
  return position + 2 + (((buffer[position] as number) << 8) | (buffer[position + 1] as number))
}

/** A PUBACK's packet identifier and reason code as one number (`id << 8 | code`), or -1 when it is malformed. */
export function decodePuback(buffer: Buffer, start: number, end: number, version: number): number {
  const length = end - start
  if (length < 2 || (version !== 5 && length !== 2)) return -1
  const id = ((buffer[start] as number) << 8) | (buffer[start + 1] as number)
  if (id === 0) return -1
  return (id << 8) | (length > 2 ? (buffer[start + 2] as number) : 0)
}

/** PUBACKs of success for these packet identifiers, in one piece. */
export function encodePubacks(ids: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(ids.length * 4)
  for (let index = 0, at = 0; index < ids.length; index++, at += 4) {
    const id = ids[index] as number
    bytes[at] = 0x40
    bytes[at + 1] = 2
    bytes[at + 2] = id >> 8
    bytes[at + 3] = id & 0xff
  }
  return bytes
}

/** A PUBLISH from the server to a device. With QoS 0 the packet identifier is left out. */
export function encodePublish(
  version: number,
  topic: string,
  qos: 0 | 1,
  packetId: number,
  payload: Buffer,
): Buffer {
  const topicBytes = Buffer.byteLength(topic)
  const remaining = 2 + topicBytes + (qos > 0 ? 2 : 0) + (version === 5 ? 1 : 0) + payload.length
  const bytes = Buffer.allocUnsafe(1 + lengthBytes(remaining) + remaining)
  bytes[0] = 0x30 | (qos << 1)
  let position = 1
  let rest = remaining
  do {
    const digit = rest & 0x7f
    rest >>>= 7
    bytes[position++] = rest > 0 ? digit | 0x80 : digit
  } while (rest > 0)
  position = bytes.writeUInt16BE(topicBytes, position)
  position += bytes.write(topic, position)
  if (qos > 0) position = bytes.writeUInt16BE(packetId, position)
  if (version === 5) bytes[position++] = 0
  payload.copy(bytes, position)
  return bytes
}

function lengthBytes(remaining: number): number {
  if (remaining < 0x80) return 1
  if (remaining < 0x4000) return 2
  return remaining < 0x200000 ? 3 : 4
}
