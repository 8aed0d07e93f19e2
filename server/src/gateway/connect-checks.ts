import type { IConnectPacket } from 'mqtt-packet'
import { isId } from '../core/index.ts'
import type { DeviceIdentity } from '../registry/index.ts'
import type { Admission } from './admission.ts'
import { authenticate } from './authenticate.ts'
import type { GatewayRegistry } from './face.ts'
import type { PeerCertificate } from './peer-certificate.ts'
import { type Refusal, reason } from './reason-codes.ts'

/** One attempt to connect, on its way through the checks. */
export interface ConnectAttempt {
  readonly connect: IConnectPacket
  readonly certificate: PeerCertificate | undefined
  readonly address: string
  readonly registry: GatewayRegistry
  readonly admission: Admission
  /** Set by `authenticated`; the checks after it rely on it. */
  identity: DeviceIdentity | undefined
}

interface ConnectCheck {
  name: string
  /** Where the standard says so: MQTT 5.0 unless it names 3.1.1. */
  section: string
  refuse: (attempt: ConnectAttempt) => Refusal | undefined | Promise<Refusal | undefined>
}

/** What must hold before a CONNECT is accepted, in this order; the first refusal is the answer. */
const connectChecks: readonly ConnectCheck[] = [
  {
    name: 'protocol version is 5 or 3.1.1',
    section: '3.1.2.2 [MQTT-3.1.2-2]',
    refuse: ({ connect }) =>
      connect.protocolId === 'MQTT' &&
      (connect.protocolVersion === 5 || connect.protocolVersion === 4) &&
      !('bridgeMode' in connect)
        ? undefined
        : { code: reason.unsupportedProtocolVersion, text: 'MQTT 5 and 3.1.1 are spoken here' },
  },
  {
    name: 'a password comes with a user name',
    section: '3.1.1: 3.1.2.9 [MQTT-3.1.2-22]',
    refuse: ({ connect }) =>
      connect.protocolVersion === 4 && connect.password !== undefined && connect.username === undefined
        ? { code: reason.protocolError, text: 'a password without a user name' }
        : undefined,
  },
  {
    name: 'properties are given once and in range',
    section: '3.1.2.11.3, 3.1.2.11.4',
    refuse: ({ connect: { properties = {} } }) =>
      properties.receiveMaximum === 0 ||
      properties.maximumPacketSize === 0 ||
      Object.entries(properties).some(([, value]) => Array.isArray(value))
        ? { code: reason.protocolError, text: 'a CONNECT property is given twice or out of range' }
        : undefined,
  },
  {
    name: 'no Will: it would speak for the device after its tenure ended',
    section: '3.1.2.5',
    refuse: ({ connect }) =>
      connect.will ? { code: reason.implementationSpecific, text: 'a Will is not accepted here' } : undefined,
  },
  {
    name: 'no enhanced authentication',
    section: '4.12 [MQTT-4.12.0-1]',
    refuse: ({ connect: { properties } }) =>
      properties?.authenticationMethod !== undefined || properties?.authenticationData !== undefined
        ? { code: reason.badAuthenticationMethod, text: 'enhanced authentication is not offered' }
        : undefined,
  },
  {
    name: 'an empty client identifier in 3.1.1 comes with a clean session',
    section: '3.1.1: 3.1.3.1 [MQTT-3.1.3-8]',
    refuse: ({ connect }) =>
      connect.clientId === '' && connect.protocolVersion === 4 && !connect.clean ? wrongClientId : undefined,
  },
  {
    name: 'failed attempts were not too many',
    section: '5.4.4',
    refuse: (attempt) =>
      attempt.admission.mayAuthenticate(attempt.address, claimedDeviceId(attempt))
        ? undefined
        : { code: reason.connectionRateExceeded, text: 'too many failed attempts: try again later' },
  },
  {
    name: 'authenticated',
    section: '3.1.4 [MQTT-3.1.4-2], 5.4.1',
    refuse: async (attempt) => {
      const { connect, certificate, registry } = attempt
      const answer = await authenticate(registry, {
        certificate,
        username: connect.username,
        password: connect.password,
      })
      if (!('code' in answer)) {
        attempt.identity = answer
        return undefined
      }
      if (answer.code === reason.badUserNameOrPassword)
        attempt.admission.authenticationFailed(attempt.address, claimedDeviceId(attempt))
      return answer
    },
  },
  {
    name: 'the user name is that of the identity',
    section: '5.4.1',
    refuse: ({ connect, identity }) =>
      (connect.username ?? identity?.deviceId) === identity?.deviceId
        ? undefined
        : { code: reason.badUserNameOrPassword, text: 'the user name must be the device id' },
  },
  {
    name: 'the client identifier is that of the identity, so that none can take over another',
    section: '3.1.3.1, 3.1.4 [MQTT-3.1.4-3]',
    refuse: ({ connect, identity }) =>
      connect.clientId === '' || connect.clientId === identity?.deviceId ? undefined : wrongClientId,
  },
]

const wrongClientId: Refusal = {
  code: reason.clientIdentifierNotValid,
  text: 'the client identifier must be the device id',
}

/** Whose failures are counted by device: of what can be guessed only, and of ids only, so that nothing else is kept. */
function claimedDeviceId({ certificate, connect: { username } }: ConnectAttempt): string | undefined {
  return certificate === undefined && username !== undefined && isId(username) ? username : undefined
}

/** Runs the checks in order. @throws what the registry throws when it cannot answer */
export async function refuseConnect(attempt: ConnectAttempt): Promise<Refusal | undefined> {
  for (const check of connectChecks) {
    const refusal = await check.refuse(attempt)
    if (refusal) return refusal
  }
  return undefined
}
