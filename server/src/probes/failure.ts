import type { Observation, Silence, TlsFacts } from './observation.ts'

/**
 * refused, unreachable, timed-out: no connection, or nothing more came. closed: it hung up. garbled: what came is not this
 * protocol. too-much: more came than a probe reads. certificate-wanted: TLS asks for a client's certificate. not-tls: no
 * handshake.
 */
export type FailureKind =
  | 'refused'
  | 'unreachable'
  | 'timed-out'
  | 'closed'
  | 'garbled'
  | 'too-much'
  | 'certificate-wanted'
  | 'not-tls'

/** How a conversation with an address ended early. Never leaves the room. */
export class ProbeFailure extends Error {
  override readonly name = 'ProbeFailure'
  readonly kind: FailureKind
  readonly tls: TlsFacts | undefined

  constructor(kind: FailureKind, tls?: TlsFacts) {
    super(kind)
    this.kind = kind
    this.tls = tls
  }
}

export function isProbeFailure(error: unknown, ...kinds: FailureKind[]): error is ProbeFailure {
  return error instanceof ProbeFailure && (kinds.length === 0 || kinds.includes(error.kind))
}

/** @throws ProbeFailure garbled */
export function garbled(): never {
  throw new ProbeFailure('garbled')
}

/** What a failure says about the address. Anything else that is thrown while a server's bytes are read is garbage too. */
export function observationOf(error: unknown, heardBytes: number): Observation {
  if (!isProbeFailure(error)) return { verdict: 'other', evidence: 'the answer could not be understood' }
  const tls = error.tls ? { tls: error.tls } : {}
  const silent = (silence: Silence, evidence: string): Observation => ({
    verdict: 'silent',
    silence,
    evidence,
    ...tls,
  })
  switch (error.kind) {
    case 'refused':
      return silent('refused', 'nothing listens')
    case 'unreachable':
      return silent('unreachable', 'no way to the address')
    case 'timed-out':
      return heardBytes > 0
        ? { verdict: 'other', evidence: 'something else listens, and went silent', ...tls }
        : silent('timed-out', 'no answer in time')
    case 'closed':
      return heardBytes > 0
        ? { verdict: 'other', evidence: 'something else listens, and hung up', ...tls }
        : silent('said-nothing', 'something listens, and hung up without a word')
    case 'too-much':
      return { verdict: 'other', evidence: 'the answer has no end, or is larger than a probe reads', ...tls }
    case 'certificate-wanted':
      return { verdict: 'protected', evidence: "asks for a client's certificate", ...tls }
    case 'garbled':
    case 'not-tls':
      return { verdict: 'other', evidence: 'something else listens', ...tls }
  }
}
