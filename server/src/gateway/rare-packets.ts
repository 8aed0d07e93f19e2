import { generate, type IConnectPacket, type Packet, parser } from 'mqtt-packet'
import { connectReturnCode, type ReasonCode } from './reason-codes.ts'

/** The packets that come once in a while go through `mqtt-packet`, one whole packet at a time. */
export function parsePacket(bytes: Buffer, version: number): Packet | undefined {
  let found: Packet | undefined
  const reader = parser({ protocolVersion: version })
  reader.on('packet', (packet) => {
    found = packet
  })
  // An error event is an answer too: nothing was found.
  reader.on('error', () => {
    found = undefined
  })
  try {
    reader.parse(bytes)
  } catch {
    return undefined
  }
  return found
}

export function parseConnect(bytes: Buffer): IConnectPacket | undefined {
  const packet = parsePacket(bytes, 5)
  return packet?.cmd === 'connect' ? packet : undefined
}

export interface ConnackProperties {
  receiveMaximum: number
  maximumPacketSize: number
  assignedClientIdentifier?: string | undefined
  serverKeepAlive?: number | undefined
}

/** MQTT 5 section 3.2.2.3: announces what this server does not do. Session Present is always 0. */
export function encodeConnack(version: number, properties: ConnackProperties): Buffer {
  if (version !== 5) return generate({ cmd: 'connack', returnCode: 0, sessionPresent: false })
  const { assignedClientIdentifier, serverKeepAlive } = properties
  return generate(
    {
      cmd: 'connack',
      reasonCode: 0,
      sessionPresent: false,
      properties: {
        sessionExpiryInterval: 0,
        receiveMaximum: properties.receiveMaximum,
        maximumQoS: 1,
        retainAvailable: false,
        maximumPacketSize: properties.maximumPacketSize,
        topicAliasMaximum: 0,
        wildcardSubscriptionAvailable: true,
        subscriptionIdentifiersAvailable: false,
        sharedSubscriptionAvailable: false,
        ...(assignedClientIdentifier === undefined ? {} : { assignedClientIdentifier }),
        ...(serverKeepAlive === undefined ? {} : { serverKeepAlive }),
      },
    },
    { protocolVersion: 5 },
  )
}

/** A CONNACK that refuses; undefined where 3.1.1 has no word for it. */
export function encodeConnectRefusal(version: number, code: ReasonCode, text: string): Buffer | undefined {
  if (version === 5)
    return generate(
      { cmd: 'connack', reasonCode: code, sessionPresent: false, properties: { reasonString: text } },
      { protocolVersion: 5 },
    )
  const returnCode = connectReturnCode(code)
  return returnCode === undefined
    ? undefined
    : generate({ cmd: 'connack', returnCode, sessionPresent: false }, { protocolVersion: 4 })
}

export function encodeSuback(
  version: number,
  messageId: number,
  granted: number[],
  text: string | undefined,
): Buffer {
  const properties = text === undefined || version !== 5 ? {} : { properties: { reasonString: text } }
  return generate({ cmd: 'suback', messageId, granted, ...properties }, { protocolVersion: version })
}

export function encodeUnsuback(version: number, messageId: number, granted: number[]): Buffer {
  return generate({ cmd: 'unsuback', messageId, granted }, { protocolVersion: version })
}

/** A PUBACK that refuses (MQTT 5 only). */
export function encodePubackRefusal(messageId: number, code: ReasonCode, text: string | undefined): Buffer {
  const properties = text === undefined ? {} : { properties: { reasonString: text } }
  return generate({ cmd: 'puback', messageId, reasonCode: code, ...properties }, { protocolVersion: 5 })
}

/** DISCONNECT from the server exists in MQTT 5 only. */
export function encodeDisconnect(code: ReasonCode, text: string): Buffer {
  return generate(
    { cmd: 'disconnect', reasonCode: code, properties: { reasonString: text } },
    { protocolVersion: 5 },
  )
}

export const pingresp: Buffer = Buffer.from([0xd0, 0])
