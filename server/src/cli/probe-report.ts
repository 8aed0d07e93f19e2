import type { ProbeResult, Verdict } from '../probes/index.ts'
import { print, type Terminal, table } from './terminal.ts'

export interface ProbeReport {
  results: readonly ProbeResult[]
  startedAt: Date
  finishedAt: Date
}

const WORST_FIRST: readonly Verdict[] = ['open', 'protected', 'other', 'silent']

/** 0 nothing is open, 1 something is, 3 an address of which nothing can be told. */
export function exitCodeOf(results: readonly ProbeResult[]): 0 | 1 | 3 {
  if (results.some(({ verdict }) => verdict === 'open')) return 1
  const byAddress = Map.groupBy(results, ({ address }) => address)
  const untold = [...byAddress.values()].some(
    (own) => own.every(({ verdict }) => verdict === 'silent') && own.some(isUncertain),
  )
  return untold ? 3 : 0
}

/** A refused connection is an answer: nothing listens. */
function isUncertain({ verdict, silence }: ProbeResult): boolean {
  return verdict === 'silent' && silence !== 'refused'
}

export function countsOf(results: readonly ProbeResult[]): Record<Verdict, number> {
  const counts = { open: 0, protected: 0, other: 0, silent: 0 }
  for (const { verdict } of results) counts[verdict] += 1
  return counts
}

export function worstFirst(results: readonly ProbeResult[]): ProbeResult[] {
  return [...results].sort(
    (a, b) =>
      WORST_FIRST.indexOf(a.verdict) - WORST_FIRST.indexOf(b.verdict) ||
      a.address.localeCompare(b.address) ||
      (a.port ?? 0) - (b.port ?? 0),
  )
}

/** Where it was reached: host and port, with the IP address where that is not said. */
export function endpointOf({ ip, port }: ProbeResult): string {
  if (ip === undefined) return ''
  return `${ip.includes(':') ? `[${ip}]` : ip}:${port}`
}

export function resultsAsJson({ results, startedAt, finishedAt }: ProbeReport): string {
  const document = {
    startedAt: startedAt.toISOString(),
    finishedAt: finishedAt.toISOString(),
    counts: countsOf(results),
    results: worstFirst(results),
  }
  return JSON.stringify(document, undefined, 2)
}

export function printResults(terminal: Pick<Terminal, 'stdout'>, results: readonly ProbeResult[]): void {
  const out = terminal as Terminal
  // Of a bare host most ports are empty: they are counted, and not listed.
  const single = new Set(
    [...Map.groupBy(results, ({ address }) => address)]
      .filter(([, own]) => own.every(({ verdict }) => verdict === 'silent'))
      .map(([address]) => address),
  )
  const told = worstFirst(results).filter(
    (result) => result.verdict !== 'silent' || (single.has(result.address) && isDeclaredPort(result)),
  )
  if (told.length > 0) {
    table(out, {
      header: ['VERDICT', 'ADDRESS', 'REACHED AT', 'PROTOCOL', 'WHAT WAS SEEN'],
      rows: told.map((result) => [
        result.verdict === 'open' ? 'OPEN' : result.verdict,
        result.address,
        endpointOf(result),
        result.protocol,
        seen(result),
      ]),
      none: '',
    })
    print(out)
  }
  const counts = countsOf(results)
  print(
    out,
    `${counts.open} open, ${counts.protected} protected, ${counts.other} other, ${counts.silent} without an answer.`,
  )
  const untold = results.filter(isUncertain).length
  if (untold > 0) print(out, `${untold} of those without an answer may yet answer somebody else.`)
  if (counts.open > 0) {
    print(
      out,
      'Whoever reaches an open address reads what is there. Close it to the network first, then ask for',
    )
    print(out, 'credentials, then find out who read it meanwhile.')
  }
}

function isDeclaredPort({ address, port }: ProbeResult): boolean {
  return port === undefined || address.endsWith(`:${port}`) || address.endsWith(`:${port}/`)
}

const BY: Record<NonNullable<ProbeResult['how']>, string> = {
  'no-credentials': 'without credentials',
  'default-password': 'with a default password',
  'anonymous-role': 'as an anonymous role',
}

function seen({ evidence, how, product, version, tls }: ProbeResult): string {
  const parts = [[product, version].filter(Boolean).join(' '), evidence, how ? BY[how] : '']
  if (tls) parts.push(`${tls.version}${tls.verified ? '' : `, certificate ${tls.problem}`}`)
  return parts.filter((part) => part !== '').join('; ')
}
