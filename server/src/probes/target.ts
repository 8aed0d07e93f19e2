import { isIP } from 'node:net'
import type { Allowance } from './allowance.ts'
import { type Connection, createConnection } from './connection.ts'
import type { Deadline } from './deadline.ts'
import { dial } from './dial.ts'
import { isProbeFailure, type ProbeFailure } from './failure.ts'
import type { Observation } from './observation.ts'
import type { Pace } from './pace.ts'

/** One port of one IP address. There is no way to another one from here: names were resolved before, redirects lead nowhere. */
export interface Target {
  /** The host as it was declared, for `Host` headers and certificates. */
  readonly host: string
  readonly ip: string
  readonly port: number
  /** What has been seen for certain: it stands, should the rest (a default password, a version) fail or take too long. */
  establish(observation: Observation): void
  /** @throws ProbeFailure */
  connect(options?: ConnectOptions): Promise<Connection>
  /**
   * Makes an attempt in clear, and one in TLS when what answers did not understand the first; the other way round on a port
   * where TLS is usual. The first attempt has half of the time.
   * @throws ProbeFailure
   */
  either<T>(attempt: (target: Target, tls: boolean) => Promise<T>): Promise<T>
}

export interface ConnectOptions {
  /** TLS from the first byte. */
  tls?: boolean
  alpnProtocols?: string[]
}

export interface TargetOptions {
  host: string
  ip: string
  port: number
  /** Whether TLS is what this port usually speaks. */
  tlsFirst: boolean
  deadline: Deadline
  allowance: Allowance
  pace: Pace
  establish(observation: Observation): void
}

/** A connection that does not come about within this part of a probe's time will not. */
const CONNECT_PART = 0.5

export function createTarget(o: TargetOptions): Target {
  const { host, ip, port, tlsFirst, deadline, allowance, pace } = o
  const { signal } = deadline
  const servername = isIP(host) ? undefined : host
  return {
    host,
    ip,
    port,
    establish: o.establish,
    async connect({ tls = false, alpnProtocols } = {}) {
      allowance.connects()
      deadline.pause()
      try {
        await pace.turn(deadline.calledOff)
      } finally {
        deadline.resume()
      }
      const connectMilliseconds = deadline.milliseconds * CONNECT_PART
      const socket = await dial({ ip, port, connectMilliseconds, signal })
      const connection = createConnection({ socket, allowance, signal, servername })
      if (!tls) return connection
      try {
        await connection.startTls(alpnProtocols ? { alpnProtocols } : {})
        return connection
      } catch (error) {
        connection.close()
        throw error
      }
    },
    async either(attempt) {
      const half = deadline.part(deadline.milliseconds / 2)
      let first: ProbeFailure
      try {
        return await attempt(createTarget({ ...o, deadline: half }), tlsFirst)
      } catch (error) {
        // Who asks for a client's certificate, or is not there, has been understood.
        const understood = isProbeFailure(error, 'refused', 'unreachable', 'too-much', 'certificate-wanted')
        if (!isProbeFailure(error) || understood || signal.aborted) throw error
        first = error
      } finally {
        half.end()
      }
      try {
        return await attempt(createTarget(o), !tlsFirst)
      } catch (error) {
        // "No TLS here either" says less than what was met in clear.
        throw isProbeFailure(error, 'not-tls', 'timed-out') ? first : error
      }
    },
  }
}
