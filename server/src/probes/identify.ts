import { type AttemptOptions, attempt } from './attempt.ts'
import { isProbeFailure } from './failure.ts'
import { openHttp } from './http.ts'
import type { Observation } from './observation.ts'
import type { Probe } from './probe.ts'
import type { Target } from './target.ts'

export interface Identified {
  /** Undefined when none of the protocols was recognised. */
  probe: Probe | undefined
  observation: Observation
}

export interface IdentifyOptions extends Omit<AttemptOptions, 'tlsFirst'> {
  /** Those to try, likeliest first. */
  candidates: readonly Probe[]
}

/** Servers that speak first do so at once. */
const BANNER_MILLISECONDS = 400
/** A protocol that is a guess gets less time than one that was declared. */
const GUESS_MILLISECONDS = 2_000

/**
 * Finds out what speaks at a port: who greets is known by that; then HTTP is told from the rest; then the candidates are tried
 * one after the other until one recognises its own.
 */
export async function identify(o: IdentifyOptions): Promise<Identified> {
  const reached = await lookAt(o)
  if ('observation' in reached) return { probe: undefined, observation: reached.observation }
  const { banner } = reached
  if (banner.length > 0) {
    const greeters = o.candidates.filter((probe) => probe.greets?.(banner))
    if (greeters.length > 0) return firstRecognised(o, greeters)
  }
  const quiet = o.candidates.filter((probe) => !probe.greets)
  const [usual, unusual] = partition(quiet, (probe) => probe.defaultPorts.includes(o.endpoint.port))
  const first = await firstRecognised(o, usual)
  if (first.probe || unusual.length === 0) return first
  const overHttp = await isHttp(o)
  return firstRecognised(
    o,
    unusual.filter(({ http }) => http === 'upgrade' || (http === true) === overHttp),
  )
}

async function lookAt(o: IdentifyOptions): Promise<{ banner: Buffer } | { observation: Observation }> {
  let banner: Buffer | undefined
  const observation = await attempt({ ...o, tlsFirst: false }, async (target) => {
    const connection = await target.connect()
    try {
      banner = await connection.banner(BANNER_MILLISECONDS)
      return { verdict: 'other', evidence: 'something listens' }
    } finally {
      connection.close()
    }
  })
  return banner ? { banner } : { observation }
}

async function isHttp(o: IdentifyOptions): Promise<boolean> {
  let answered = false
  const milliseconds = Math.min(o.milliseconds, GUESS_MILLISECONDS)
  await attempt({ ...o, milliseconds, tlsFirst: false }, async (target: Target) => {
    try {
      await openHttp(target, { path: '/', atMostBytes: 1_024 })
      answered = true
    } catch (error) {
      answered = isProbeFailure(error, 'certificate-wanted')
    }
    return { verdict: 'other', evidence: '' }
  })
  return answered
}

async function firstRecognised(o: IdentifyOptions, probes: readonly Probe[]): Promise<Identified> {
  const unrecognised: Observation[] = []
  for (const probe of probes) {
    const { port } = o.endpoint
    const usual = probe.defaultPorts.includes(port)
    const milliseconds = usual ? o.milliseconds : Math.min(o.milliseconds, GUESS_MILLISECONDS)
    const tlsFirst = probe.tlsPorts?.includes(port) ?? false
    const observation = await attempt({ ...o, milliseconds, tlsFirst }, (target) => probe.run(target))
    if (observation.verdict === 'open' || observation.verdict === 'protected') return { probe, observation }
    unrecognised.push(observation)
  }
  return { probe: undefined, observation: summary(unrecognised) }
}

/** Of several that did not recognise their own, the one that says most; silence only when nobody heard anything. */
function summary(observations: readonly Observation[]): Observation {
  const other = observations.filter((each) => each.verdict === 'other')
  const best = other.find((each) => each.product !== undefined) ?? other[0] ?? observations[0]
  return (
    best ?? { verdict: 'other', evidence: 'something listens, and speaks no protocol that is looked for' }
  )
}

function partition<T>(all: readonly T[], holds: (each: T) => boolean): [T[], T[]] {
  return [all.filter(holds), all.filter((each) => !holds(each))]
}
