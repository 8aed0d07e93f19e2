import { AppError, type Clock } from '../core/index.ts'
import { type DeclaredAddress, parseAddress } from './address.ts'
import { attempt, type Endpoint } from './attempt.ts'
import { identify } from './identify.ts'
import type { Observation, ProbeResult } from './observation.ts'
import { createPace, type Pace } from './pace.ts'
import type { Probe } from './probe.ts'
import { probes } from './protocols/list.ts'
import { type Resolve, resolveByMachine } from './resolve.ts'

export interface ProbeOptions {
  clock: Clock
  /** For one protocol at one port, waiting for its turn not counted. */
  timeoutMilliseconds: number
  /** Only these protocols. */
  only?: readonly string[]
  /** How many ports at a time. */
  concurrency: number
  /** Connections in a second, over all addresses together. */
  ratePerSecond: number
  /** Ends it; what has not been answered by then is left out. */
  signal?: AbortSignal
  onProgress?: (progress: ProbeProgress) => void
  resolve?: Resolve
}

export interface ProbeProgress {
  done: number
  /** Ports; it grows as names are resolved. */
  total: number
}

type Work = () => Promise<void>

/**
 * Asks every address as a stranger, and only those: names are resolved once, and nothing that a server says leads elsewhere.
 * Results come as they are found, one for each port.
 * @throws AppError invalid_request for an address or a protocol that is none, before anything is contacted
 */
export async function* probe(
  addresses: readonly string[],
  options: ProbeOptions,
): AsyncGenerator<ProbeResult, void, undefined> {
  const known = wanted(options.only)
  const declared = [...new Map(addresses.map((text) => [text.trim(), parseAddress(text)])).values()]
  const plans = declared.map((address) => ({ address, plan: planOf(address, known) }))
  const called = new AbortController()
  const signal = AbortSignal.any([called.signal, ...(options.signal ? [options.signal] : [])])
  const pace = createPace({ perSecond: options.ratePerSecond })
  const found: ProbeResult[] = []
  const waiting: Work[] = []
  let wake = () => {}
  let done = 0
  let total = 0
  let running = 0

  function startSome(): void {
    while (running < options.concurrency && !signal.aborted) {
      const work = waiting.shift()
      if (!work) return
      running += 1
      void work().finally(() => {
        running -= 1
        startSome()
        wake()
      })
    }
  }

  for (const { address, plan } of plans) {
    waiting.push(async () => {
      const startedMs = options.clock.nowMs()
      const ips = await (options.resolve ?? resolveByMachine)(address.host)
      if (ips.length === 0) found.push(unresolved(address, plan, options.clock.nowMs() - startedMs))
      for (const ip of ips) {
        for (const { port, candidates } of plan) {
          const endpoint = { address: address.text, host: address.host, ip, port }
          total += 1
          waiting.push(async () => {
            const result = await probePort({ endpoint, candidates, pace, signal, options })
            done += 1
            options.onProgress?.({ done, total })
            if (!signal.aborted) found.push(result)
          })
        }
      }
    })
  }
  try {
    startSome()
    for (;;) {
      const result = found.shift()
      if (result) yield result
      else if (running === 0) return
      else {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
  } finally {
    called.abort()
  }
}

interface PortPlan {
  port: number
  /** One that was declared or belongs to the port; several to choose from. */
  candidates: readonly Probe[]
}

function planOf({ scheme, port }: DeclaredAddress, known: readonly Probe[]): PortPlan[] {
  const candidates = scheme === undefined ? known : named(scheme, known)
  if (port !== undefined) return [{ port, candidates }]
  const ports = [...new Set(candidates.flatMap(({ defaultPorts }) => defaultPorts))].sort((a, b) => a - b)
  return ports.map((each) => ({
    port: each,
    candidates: candidates.filter(({ defaultPorts }) => defaultPorts.includes(each)),
  }))
}

function named(scheme: string, known: readonly Probe[]): readonly Probe[] {
  if (scheme === 'http' || scheme === 'https') return known.filter((probe) => probe.http)
  const found = known.filter(({ protocol, aliases }) => protocol === scheme || aliases?.includes(scheme))
  if (found.length > 0) return found
  throw unknownProtocol(known)
}

function wanted(only: readonly string[] | undefined): readonly Probe[] {
  if (only === undefined) return probes
  return [...new Set(only.flatMap((name) => named(name, probes)))]
}

function unknownProtocol(known: readonly Probe[]): AppError {
  const names = known.map(({ protocol }) => protocol).join(', ')
  return new AppError('invalid_request', {
    message: `There is no probe of that protocol. There are: ${names}.`,
  })
}

async function probePort(o: {
  endpoint: Endpoint
  candidates: readonly Probe[]
  pace: Pace
  signal: AbortSignal
  options: ProbeOptions
}): Promise<ProbeResult> {
  const { endpoint, candidates, pace, signal, options } = o
  const startedMs = options.clock.nowMs()
  const result = (protocol: string, observation: Observation): ProbeResult => ({
    address: endpoint.address,
    ip: endpoint.ip,
    port: endpoint.port,
    protocol,
    ...observation,
    elapsedMilliseconds: Math.round(options.clock.nowMs() - startedMs),
  })
  const milliseconds = options.timeoutMilliseconds
  const [only] = candidates
  if (only && candidates.length === 1) {
    const tlsFirst = only.tlsPorts?.includes(endpoint.port) ?? false
    const spoken = { endpoint, tlsFirst, milliseconds, pace, signal }
    return result(only.protocol, await attempt(spoken, (target) => only.run(target)))
  }
  const identified = await identify({ endpoint, candidates, milliseconds, pace, signal })
  return result(identified.probe?.protocol ?? 'unknown', identified.observation)
}

function unresolved(address: DeclaredAddress, plan: PortPlan[], elapsedMilliseconds: number): ProbeResult {
  const [first] = plan
  const protocol =
    plan.length === 1 && first?.candidates.length === 1 ? first.candidates[0]?.protocol : undefined
  return {
    address: address.text,
    ...(address.port !== undefined && { port: address.port }),
    protocol: protocol ?? 'unknown',
    verdict: 'silent',
    silence: 'unresolved',
    evidence: 'the name has no address',
    elapsedMilliseconds: Math.round(elapsedMilliseconds),
  }
}
