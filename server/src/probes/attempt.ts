import { type Allowance, createAllowance } from './allowance.ts'
import { createDeadline } from './deadline.ts'
import { observationOf, ProbeFailure } from './failure.ts'
import type { Observation } from './observation.ts'
import type { Pace } from './pace.ts'
import { createTarget, type Target } from './target.ts'

/** One port of one address, as it was declared and resolved. */
export interface Endpoint {
  /** As it was declared. */
  address: string
  host: string
  ip: string
  port: number
}

export interface AttemptOptions {
  endpoint: Endpoint
  tlsFirst: boolean
  milliseconds: number
  pace: Pace
  /** Calls everything off. */
  signal: AbortSignal
}

const ALLOWED_BYTES = 512 * 1_024
const ALLOWED_CONNECTIONS = 24

/**
 * Runs what speaks to an endpoint, within its time and its allowance, whatever that does or the server says. Never throws.
 */
export async function attempt(
  o: AttemptOptions,
  speak: (target: Target) => Promise<Observation>,
): Promise<Observation> {
  const allowance: Allowance = createAllowance({ bytes: ALLOWED_BYTES, connections: ALLOWED_CONNECTIONS })
  const deadline = createDeadline({ milliseconds: o.milliseconds, calledOff: o.signal })
  const { host, ip, port } = o.endpoint
  let established: Observation | undefined
  const establish = (observation: Observation) => {
    established = observation
  }
  const { tlsFirst, pace } = o
  const target = createTarget({ host, ip, port, tlsFirst, deadline, allowance, pace, establish })
  const { promise: timeOver, reject } = Promise.withResolvers<never>()
  const onOver = () => reject(new ProbeFailure('timed-out'))
  deadline.signal.addEventListener('abort', onOver, { once: true })
  if (deadline.signal.aborted) onOver()
  try {
    return await Promise.race([speak(target), timeOver])
  } catch (error) {
    return established ?? observationOf(error, allowance.heardBytes)
  } finally {
    deadline.signal.removeEventListener('abort', onOver)
    deadline.end()
  }
}
