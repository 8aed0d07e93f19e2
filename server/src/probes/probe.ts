import type { Observation } from './observation.ts'
import type { Target } from './target.ts'

/** One protocol. */
export interface Probe {
  /** The scheme in `protocol://host:port`. */
  protocol: string
  /** Other schemes that people write for it: `postgres`, `rediss`. */
  aliases?: readonly string[]
  /** For people. */
  name: string
  defaultPorts: readonly number[]
  /** Those of the default ports where TLS is spoken from the first byte. */
  tlsPorts?: readonly number[]
  /**
   * Spoken over HTTP: not tried where something answers and it is not HTTP, nor the other way round. `upgrade` where its server
   * may answer nothing but an upgrade: tried in both cases.
   */
  http?: true | 'upgrade'
  /** Whether these are the first bytes that its server sends without being asked. Only for protocols whose server speaks first. */
  greets?(banner: Buffer): boolean
  /**
   * Proves by reading, and writes nothing. What it throws as a ProbeFailure becomes a verdict: see `observationOf`. Recognises
   * its product strictly: for what it does not know, `other`.
   */
  run(target: Target): Promise<Observation>
}
