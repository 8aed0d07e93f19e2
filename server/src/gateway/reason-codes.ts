/** MQTT 5 section 2.4: the reason codes that this gateway sends. */
export const reason = {
  success: 0x00,
  noSubscriptionExisted: 0x11,
  unspecified: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecific: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdentifierNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  retainNotSupported: 0x9a,
  qosNotSupported: 0x9b,
  useAnotherServer: 0x9c,
  sharedSubscriptionsNotSupported: 0x9e,
  connectionRateExceeded: 0x9f,
  subscriptionIdentifiersNotSupported: 0xa1,
} as const

export type ReasonCode = (typeof reason)[keyof typeof reason]

/** A refusal: the code, and a sentence for the device's developer that repeats nothing of what was sent. */
export interface Refusal {
  code: ReasonCode
  text: string
}

/** This process may not rely on what it knows: others may still hear of changes. */
export const cutOff: Refusal = {
  code: reason.useAnotherServer,
  text: 'this server is cut off from the others: connect again',
}

/** MQTT 3.1.1 table 3.1. Undefined: 3.1.1 has no word for it, the connection is closed without one. */
export function connectReturnCode(code: ReasonCode): number | undefined {
  switch (code) {
    case reason.malformedPacket:
    case reason.protocolError:
      return undefined
    case reason.unsupportedProtocolVersion:
      return 1
    case reason.clientIdentifierNotValid:
      return 2
    case reason.serverUnavailable:
    case reason.serverBusy:
    case reason.quotaExceeded:
    case reason.connectionRateExceeded:
    case reason.useAnotherServer:
      return 3
    case reason.badUserNameOrPassword:
      return 4
    default:
      return 5
  }
}
