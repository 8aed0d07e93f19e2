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
