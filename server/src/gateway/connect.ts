import type { IConnectPacket } from 'mqtt-packet'
import { type DeviceId, isId, type Log, type PresentedInVain } from '../core/index.ts'
import type { DeviceIdentity } from '../registry/index.ts'
import { type ConnectAttempt, refuseConnect } from './connect-checks.ts'
import { type Connection, hold } from './connection.ts'
import type { ConnectOutcome } from './connection-log.ts'
import { encodeConnectRefusal, parseConnect } from './rare-packets.ts'
import { type Refusal, reason } from './reason-codes.ts'
import type { Counters } from './stats.ts'

const CONNECT = 0x10

export interface ConnectDependencies {
  counters: Counters
  log: Log
  presentedInVain: PresentedInVain
  attempted: (claimed: DeviceId | undefined, outcome: ConnectOutcome) => void
  /** Makes the session of a device that passed the checks. A refusal is still possible. */
  accept: (identity: DeviceIdentity, connect: IConnectPacket) => Promise<Refusal | undefined>
}

/** The first packet of a connection, which must be an acceptable CONNECT (MQTT 5 section 3.1 [MQTT-3.1.0-1]). */
export async function handleFirstPacket(
  connection: Connection,
  attempt: Pick<ConnectAttempt, 'certificate' | 'address' | 'registry' | 'admission'>,
  { counters, log, presentedInVain, attempted, accept }: ConnectDependencies,
): Promise<void> {
  const { reader } = connection
  if (reader.header !== CONNECT) return connection.destroy()
  let claimed: DeviceId | undefined
  const refuse = ({ code, text }: Refusal) => {
    counters.refusedConnects += 1
    attempted(claimed, outcomeOf(code))
    const answer = encodeConnectRefusal(connection.version, code, text)
    if (answer) connection.outgoing.send(answer)
    connection.end()
  }
  const connect = parseConnect(reader.bytes())
  claimed =
    connect?.username !== undefined && isId(connect.username) ? (connect.username as DeviceId) : undefined
  connection.version = connect?.protocolVersion ?? announcedVersion(reader.bytes())
  if (connect === undefined) {
    // Malformed: 3.1.1 and 5 both allow to close without an answer. Another version of MQTT gets one.
    if (connection.version === 4 || connection.version === 5 || connection.version === 0)
      return connection.destroy()
    return refuse({ code: reason.unsupportedProtocolVersion, text: 'MQTT 5 and 3.1.1 are spoken here' })
  }
  // What follows the CONNECT waits for the answer.
  connection.hold(hold.connecting)
  try {
    const checked: ConnectAttempt = { ...attempt, connect, identity: undefined }
    const refusal = await refuseConnect(checked)
    // Also of who did not wait for the answer.
    if (refusal)
      presentedInVain('MQTT', [connect.username, connect.password?.toString('utf8'), connect.clientId])
    // A certificate may be the only one that says who it is.
    claimed = checked.identity?.deviceId ?? claimed
    if (!connection.open) return
    if (refusal) return refuse(refusal)
    const late = checked.identity && (await accept(checked.identity, connect))
    if (!late) attempted(claimed, 'accepted')
    else if (connection.open) refuse(late)
  } catch (error) {
    log.error('a connection could not be checked', { error })
    if (connection.open)
      refuse({ code: reason.serverUnavailable, text: 'the server is busy or starting: try again shortly' })
  }
}

function outcomeOf(code: Refusal['code']): ConnectOutcome {
  switch (code) {
    case reason.badUserNameOrPassword:
      return 'credentials'
    case reason.connectionRateExceeded:
      return 'rate'
    case reason.serverUnavailable:
    case reason.serverBusy:
    case reason.useAnotherServer:
      return 'server'
    default:
      return 'protocol'
  }
}

/** The protocol level of a CONNECT with the name `MQTT`; 0 when it is none. */
function announcedVersion(bytes: Buffer): number {
  const at = bytes.indexOf('\0\x04MQTT', 1, 'latin1')
  return at >= 2 && at <= 5 ? (bytes[at + 6] ?? 0) : 0
}
