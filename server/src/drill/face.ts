import type { Dump } from './stores/dump.ts'
import type { DeclaredStore } from './stores/find-stores.ts'

/** What the drill needs of a running installation; it finds the rest by looking. */
export interface Target {
  /** The server's processes; what they started is found. */
  pids: readonly number[]
  sinceMs: number
  declared: readonly DeclaredStore[]
  temporary: readonly string[]
  declaredPeers: readonly string[]
  dump: Dump
  /** What it printed, where somebody keeps that. */
  printed?: (() => string) | undefined
  /** Columns whose exact times docs/threat-model.md names. */
  exactTimes: readonly string[]
  /** Starts an installation on a copy of the bytes, with a root key of the thief's own. */
  startStolenCopy?: (() => Promise<'refused' | 'started' | 'unclear'>) | undefined
}

/** One thing that a thief of the copy gets. */
export interface Finding {
  attack: string
  /** `household 2`, or which credential; never a value. */
  whose: string
  what: string
  how: string
  where: string
}

/** What one attack tried, on the installation and on the store that was planted to be broken. */
export interface AttackReport {
  name: string
  /** What was done, with its numbers. */
  tried: string[]
  /** What could not be tried, and why. */
  notTried: string[]
  findings: Finding[]
  /** Of the planted store: how many of its weaknesses were to be found, and which were not. */
  control: { planted: number; missed: string[] }
}

export interface DrillReport {
  format: 1
  startedAt: string
  tookSeconds: number
  where: string
  verdict: 'hollow' | 'not hollow' | 'not proved'
  /** Why it is not proved: the drill itself has failed. */
  failures: string[]
  peopleNamed: number
  credentialsAccepted: number
  devicesMoved: number
  undeclaredStores: number
  seeded: { households: number; devices: number; events: number }
  stores: { name: string; found: string; declared: boolean; files: number; bytes: number }[]
  search: {
    bytes: number
    unpackedBytes: number
    patterns: number
    seconds: number
    megabytesPerSecond: number
  }
  attacks: AttackReport[]
  /** What the copy shows of itself: none of it names anybody. */
  visible: string[]
  control: {
    peopleNamed: number
    credentialsAccepted: number
    devicesMoved: number
    of: { people: number; credentials: number; devices: number }
  }
}

/** 0 hollow, 1 not hollow, 2 the drill could not prove it. */
export function exitCodeOf({ verdict }: DrillReport): 0 | 1 | 2 {
  return verdict === 'hollow' ? 0 : verdict === 'not hollow' ? 1 : 2
}
