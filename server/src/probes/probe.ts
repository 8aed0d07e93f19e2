import type { Target } from './target.ts'

/**
 * open: data was read without a credential of anybody's. protected: it asks for one. other: something else listens, or
 * what answers could not be understood. silent: no answer.
 */
export type Verdict = 'open' | 'protected' | 'other' | 'silent'

/** Why there was no answer. Only `refused` is a certain one: nothing listens there. */
export type Silence = 'refused' | 'unreachable' | 'timed-out' | 'said-nothing' | 'unresolved'

/** By which right a stranger read. */
export type How = 'no-credentials' | 'default-password' | 'anonymous-role'

export interface TlsFacts {
  /** As OpenSSL names it: TLSv1.3 */
  version: string
  /** Whether a client with the usual authorities would have gone on. */
  verified: boolean
  /** OpenSSL's name for what a client would have refused: DEPTH_ZERO_SELF_SIGNED_CERT */
  problem?: string
  expiresAt?: string
}

/** What a protocol's probe has seen. */
export interface Observation {
  verdict: Verdict
  /** What was read or refused, as counts and kinds; never content. */
  evidence: string
  how?: How
  product?: string
  version?: string
  tls?: TlsFacts
  silence?: Silence
}

export interface ProbeResult extends Observation {
  /** As it was declared. */
  address: string
  /** The one that was spoken to; none when the name did not resolve. */
  ip?: string
  port?: number
  /** `unknown` where none was declared and none was recognised. */
  protocol: string
  elapsedMilliseconds: number
}

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
  /** Spoken over HTTP: not tried where something answers and it is not HTTP, nor the other way round. */
  http?: true
  /** Whether these are the first bytes that its server sends without being asked. Only for protocols whose server speaks first. */
  greets?(banner: Buffer): boolean
  /**
   * Proves by reading, and writes nothing. What it throws as a ProbeFailure becomes a verdict: see `observationOf`. Recognises
   * its product strictly: for what it does not know, `other`.
   */
  run(target: Target): Promise<Observation>
}
