/** Bounds on everything that a stranger or a device can make grow. */
export interface GatewayLimits {
  /** Open connections in total. */
  connections: number
  /** From TCP accept to an accepted CONNECT, the TLS handshake included. */
  connectDeadlineMs: number
  /** What is kept of a connection before it is authenticated, the CONNECT packet included. */
  bytesBeforeConnect: number
  unauthenticated: number
  unauthenticatedPerAddress: number
  connectionsPerSecond: number
  connectionBurst: number
  connectionsPerSecondPerAddress: number
  connectionBurstPerAddress: number
  /**
   * Whether loopback counts as one address as any other. Off by default: what comes from loopback is a proxy in
   * front of everybody, or this machine itself.
   */
  limitLoopback: boolean
  failuresPerMinutePerAddress: number
  failureBurstPerAddress: number
  /** Of one address for one device id. */
  failuresPerMinutePerDevice: number
  failureBurstPerDevice: number
  /** Addresses and device ids that are remembered at most, for the limits above. */
  rememberedAddresses: number
  /** Largest MQTT packet, announced as Maximum Packet Size. */
  packetBytes: number
  /** QoS 1 publishes that may wait for their PUBACK, announced as Receive Maximum. */
  receiveMaximum: number
  /** Topic filters of one session, and of one SUBSCRIBE packet. */
  subscriptions: number
  /** Longest keep-alive. A device that asks for a longer one or none is told (MQTT 5) and held to this one. */
  keepAliveSeconds: number
  /** Commands that wait for one device, those that it has not acknowledged included. */
  outgoingMessages: number
  /** Bytes that wait in our memory for one socket: above it the device is a slow consumer and is disconnected. */
  outgoingBytes: number
  /** How long devices have to return after an unclean stop before they are recorded as offline. */
  offlineGraceMs: number
  /** After a reset, how many void sessions are closed in a second: as many as can be taken back, with room for others. */
  resetClosesPerSecond: number
  /** How long `close` waits for pending publishes and for sockets to empty. */
  drainMs: number
}

export const defaultLimits: GatewayLimits = {
  connections: 100_000,
  connectDeadlineMs: 10_000,
  bytesBeforeConnect: 8_192,
  unauthenticated: 2_000,
  unauthenticatedPerAddress: 100,
  connectionsPerSecond: 1_000,
  connectionBurst: 5_000,
  connectionsPerSecondPerAddress: 20,
  connectionBurstPerAddress: 200,
  limitLoopback: false,
  failuresPerMinutePerAddress: 30,
  failureBurstPerAddress: 60,
  failuresPerMinutePerDevice: 6,
  failureBurstPerDevice: 10,
  rememberedAddresses: 50_000,
  packetBytes: 65_536,
  receiveMaximum: 32,
  subscriptions: 16,
  keepAliveSeconds: 1_200,
  outgoingMessages: 64,
  outgoingBytes: 262_144,
  offlineGraceMs: 30_000,
  resetClosesPerSecond: 500,
  drainMs: 5_000,
}
