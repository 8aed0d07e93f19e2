import type { FindingKind } from './finding-face.ts'
import type { Observed, StoreState } from './watched.ts'

/** How many looks in a row must prove that it is over: one that flaps stays open. */
const PROOFS = 3
/** How many looks in a row until something that is no proof of harm is told. */
const DOUBTS = 3

export interface Judgement {
  state: StoreState
  found: { kind: FindingKind; evidence: string }[]
  /** Kinds that were proved to be over. */
  over: FindingKind[]
}

const unseen = {
  protectedBefore: false,
  verifiedBefore: false,
  shut: 0,
  other: 0,
  verified: 0,
  unverified: 0,
}

/** What a look at a store means, in the light of those before it. Open is acted upon at once; its end needs repeated proof. */
export function judge(o: {
  before: StoreState | undefined
  observed: readonly Observed[]
  mayBeOpen: boolean
  nowMs: number
}): Judgement {
  const { observed, nowMs } = o
  const before = o.before ?? { ...unseen, verdict: 'unknown' as const }
  const open = observed.filter(({ verdict }) => verdict === 'open')
  const worst = open[0] ?? first(observed, 'protected') ?? first(observed, 'other') ?? observed[0]
  const verdict = worst?.verdict ?? 'unknown'
  const harmful = open.length > 0 && !o.mayBeOpen
  const certificates = observed.flatMap(({ tls }) => (tls ? [tls] : []))
  const bad = certificates.find((tls) => !tls.verified)
  const state: StoreState = {
    verdict,
    evidence: worst?.evidence ?? 'nothing was seen',
    ...(worst?.protocol !== undefined && { protocol: worst.protocol }),
    ...(worst?.product !== undefined && { product: worst.product }),
    atMs: nowMs,
    protectedBefore: before.protectedBefore || verdict === 'protected',
    verifiedBefore: before.verifiedBefore || (certificates.length > 0 && !bad),
    shut: harmful ? 0 : before.shut + Number(isShut(observed)),
    other: verdict === 'other' ? before.other + 1 : 0,
    verified: certificates.length > 0 && !bad ? before.verified + 1 : 0,
    unverified: bad ? before.unverified + 1 : 0,
  }
  const found: Judgement['found'] = []
  if (harmful) {
    for (const each of open) found.push({ kind: each.finding ?? 'open', evidence: sayOpen(each) })
  }
  if (state.protectedBefore && state.other >= DOUBTS) {
    const evidence = `it asked for credentials before; now: ${state.evidence}`
    found.push({ kind: 'changed', evidence })
  }
  if (bad && state.verifiedBefore && state.unverified >= DOUBTS) {
    const evidence = `its certificate verified before; now: ${bad.problem ?? 'it does not'}`
    found.push({ kind: 'certificate', evidence })
  }
  const over: FindingKind[] = []
  if (state.shut >= PROOFS) over.push('open', 'door', 'file')
  if (state.shut >= PROOFS && verdict === 'protected') over.push('changed')
  if (state.verified >= PROOFS) over.push('certificate')
  return { state, found, over }
}

/** A time-out proves nothing, nor does something else that answers: a proxy before a store that is open still. */
function isShut(observed: readonly Observed[]): boolean {
  return (
    observed.length > 0 &&
    observed.every(
      ({ verdict, silence }) => verdict === 'protected' || (verdict === 'silent' && silence === 'refused'),
    )
  )
}

function first(observed: readonly Observed[], verdict: Observed['verdict']): Observed | undefined {
  return observed.find((each) => each.verdict === verdict)
}

function sayOpen({ evidence, product, version, how }: Observed): string {
  const what = [product, version].filter((part) => part !== undefined).join(' ')
  const by =
    how === 'default-password'
      ? ' with a default password'
      : how === 'anonymous-role'
        ? ' as an anonymous role'
        : ''
  return `${what ? `${what}: ` : ''}${evidence}${by}`
}
