import type { Log, ReportingDescriptor, Result } from 'sarif'
import { type ProbeResult, protocols } from '../probes/index.ts'
import { endpointOf, type ProbeReport, worstFirst } from './probe-report.ts'

/** SARIF 2.1.0 (OASIS): a rule for each protocol, a result for each port that was asked. */
export function resultsAsSarif({ results, startedAt, finishedAt }: ProbeReport): string {
  const log: Log = {
    version: '2.1.0',
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    runs: [
      {
        tool: { driver: { name: 'hearthlock probe', rules: rules() } },
        invocations: [
          {
            executionSuccessful: true,
            startTimeUtc: startedAt.toISOString(),
            endTimeUtc: finishedAt.toISOString(),
          },
        ],
        results: worstFirst(results).map(resultOf),
      },
    ],
  }
  return JSON.stringify(log, undefined, 2)
}

function rules(): ReportingDescriptor[] {
  const named = [...protocols, { protocol: 'unknown', name: 'A store' }]
  return named.map(({ protocol, name }) => ({
    id: ruleId(protocol),
    shortDescription: { text: `${name} lets strangers read data` },
    help: {
      text: 'Whoever reaches this address reads what is there. Close it to the network, ask for credentials, and find out who read it meanwhile.',
    },
    defaultConfiguration: { level: 'error' },
  }))
}

function ruleId(protocol: string): string {
  return `open/${protocol}`
}

function resultOf(result: ProbeResult): Result {
  const { address, protocol, evidence, verdict, silence, how, product, version, tls } = result
  const host = /:\/\//.test(address) ? address : `${protocol}://${address}`
  return {
    ruleId: ruleId(protocol),
    ...kindOf(verdict, silence),
    message: { text: `${address}: ${verdict}; ${evidence}.` },
    locations: [
      {
        physicalLocation: { artifactLocation: { uri: host } },
        logicalLocations: [{ fullyQualifiedName: endpointOf(result) || address, kind: 'resource' }],
      },
    ],
    // The same opening is the same finding in the next run.
    partialFingerprints: { 'addressAndProtocol/v1': `${address} ${endpointOf(result)} ${protocol}` },
    properties: { verdict, how, product, version, tls, elapsedMilliseconds: result.elapsedMilliseconds },
  }
}

/** SARIF 2.1.0, 3.27.9: `open` is its word for too little information to decide. */
function kindOf(
  verdict: ProbeResult['verdict'],
  silence: ProbeResult['silence'],
): Pick<Result, 'kind' | 'level'> {
  if (verdict === 'open') return { kind: 'fail', level: 'error' }
  if (verdict === 'protected') return { kind: 'pass', level: 'none' }
  if (verdict === 'silent' && silence !== 'refused') return { kind: 'open', level: 'none' }
  return { kind: 'notApplicable', level: 'none' }
}
