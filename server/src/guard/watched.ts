import type { ProbeResult } from '../probes/index.ts'
import type { FindingKind } from './finding-face.ts'

/** What a stranger met at one place. */
export type Observed = Pick<ProbeResult, 'verdict' | 'evidence' | 'protocol'> &
  Partial<Pick<ProbeResult, 'product' | 'version' | 'tls' | 'silence' | 'how'>> & {
    /** What `open` means here, when it is not that a store answers. */
    finding?: FindingKind
  }

/** A store or a door that is looked at as a stranger would. */
export interface Watched {
  /** `own:…` of this installation, `feed:…` where a copy goes to, `declared:…` by an operator. */
  key: string
  name: string
  /** For people, and what is probed when there is no `look`. */
  address: string
  /** A feed goes there: looked at every few seconds. */
  fed: boolean
  /** Only this process can see it: its own doors and files. */
  here: boolean
  /** It answers anybody by design: metrics, on a loopback address. */
  mayBeOpen?: boolean
  look?: () => Promise<Observed[]>
}

/** How it answered, and what of its past counts. */
export interface StoreState {
  verdict: Observed['verdict'] | 'unknown'
  evidence: string
  protocol?: string
  product?: string
  atMs: number
  /** It has asked for credentials before. */
  protectedBefore: boolean
  /** Its certificate has verified before. */
  verifiedBefore: boolean
  /** How often in a row. */
  shut: number
  other: number
  verified: number
  unverified: number
}
