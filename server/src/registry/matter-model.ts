import type { ModelId } from '../core/index.ts'
import type { Checked, CheckedCommand, CommandPolicy, Model, ModelDefinition, Redacted } from './face.ts'
import { checkLeave, leaveElement, withoutClaimCode } from './leave-event.ts'
import { isObject, structOf, type ValueChecker } from './matter-checker.ts'
import type { CompiledCluster, CompiledCommand, MatterLibrary } from './matter-library.ts'
import {
  checkPayload,
  type Element,
  type ElementTable,
  explainUnknown,
  normalisePayload,
  refuse,
} from './matter-payload.ts'
import { checkResult } from './matter-result.ts'

const DEFAULT_ENDPOINTS = 16
const DEFAULT_POLICY: CommandPolicy = { whenOffline: 'refuse', expiresSeconds: 10 }

/** Compiles a definition that has been validated: every path of the model to its checker, once. */
export function compileModel(library: MatterLibrary, id: ModelId, definition: ModelDefinition): Model {
  const clusters = clusterNames(library, definition)
  const compiled = clusters.map((name) => library.cluster(name) as CompiledCluster)
  const endpoints = definition.endpoints ?? DEFAULT_ENDPOINTS
  const attributes = elementTable('attribute', compiled, endpoints)
  const events = elementTable('event', compiled, endpoints, [leaveElement(library)])
  const commands = new Map<string, CompiledCommand>()
  for (const cluster of compiled) {
    for (const [name, command] of cluster.commands) commands.set(`${cluster.name}.${name}`, command)
  }
  const commandsByCluster = new Map(compiled.map(({ name, commands }) => [name, [...commands.keys()]]))
  const policyOf = (command: string) => findPolicy(definition.commands ?? {}, command)

  return {
    id,
    name: definition.name,
    title: definition.title,
    vendor: definition.vendor,
    deviceType: definition.deviceType,
    clusters,
    firmware: definition.firmware,
    claimPolicy: definition.claimPolicy,
    credentialRotation: definition.credentialRotation === true,
    reset: definition.reset,
    endpoints,
    checkAttributes: (payload) => withoutClaimCode(checkPayload(attributes, payload)),
    checkEvents: (payload) => checkLeave(checkPayload(events, payload), definition),
    checkResult: (payload) => checkResult(library.statusNames, payload),
    checkCommand(command, args, endpoint = 1): CheckedCommand {
      // Whoever names the next key of a device owns it: that is the server's to say (gateway/rotation.ts).
      if (command.startsWith('OperationalCredentials.'))
        return refuse(`${command}: the server alone sends this`)
      const found = commands.get(command)
      if (!found) return refuse(explainUnknown('command', command, commandsByCluster))
      if (!Number.isInteger(endpoint) || endpoint < 0 || endpoint > endpoints) {
        return refuse(`endpoint: expected 0..${endpoints}`)
      }
      const given = args ?? {}
      if (!found.arguments.accepts(given)) return refuse(found.arguments.explain(given, command))
      return { ok: true, paths: [`${endpoint}/${command}`], policy: policyOf(command), act: found.act }
    },
    checkResponse(command, response): Checked {
      const found = commands.get(command)
      if (!found) return refuse(explainUnknown('command', command, commandsByCluster))
      if (!found.response) {
        const empty = response === undefined || (isObject(response) && Object.keys(response).length === 0)
        return empty ? { ok: true, paths: [] } : refuse(`${command}: Matter answers with a status only`)
      }
      if (response === undefined || found.response.accepts(response)) return { ok: true, paths: [] }
      return refuse(found.response.explain(response, 'response'))
    },
    redactArguments: (command, args) => redact(commands.get(command)?.arguments, args),
    redactResponse: (command, response) => redact(commands.get(command ?? '')?.response, response),
    commandPolicy: (command) => (commands.has(command) ? policyOf(command) : DEFAULT_POLICY),
    normaliseAttributes: (payload) => normalisePayload(attributes, payload),
    normaliseEvents: (payload) => normalisePayload(events, payload),
  }
}

function redact(checker: ValueChecker | undefined, value: unknown): Redacted {
  const withheld = new Set<string>()
  // Where Matter defines nothing, nothing is known to be harmless; that nothing was said is.
  const known = checker ?? structOf([])
  return { value: known.redact(value, '', withheld), withheld: [...withheld] }
}

/** The device type's mandatory clusters and the definition's own, each once. */
export function clusterNames(library: MatterLibrary, definition: ModelDefinition): string[] {
  return [...new Set([...(library.clustersOf(definition.deviceType) ?? []), ...(definition.clusters ?? [])])]
}

function elementTable(
  what: ElementTable['what'],
  clusters: readonly CompiledCluster[],
  endpoints: number,
  more: readonly [string, Element][] = [],
): ElementTable {
  const elements = new Map<string, Element>(more)
  const byCluster = new Map<string, readonly string[]>()
  for (const cluster of clusters) {
    const checkers = what === 'attribute' ? cluster.attributes : cluster.events
    byCluster.set(cluster.name, [...checkers.keys()])
    for (const [name, checker] of checkers) {
      const key = `${cluster.name}.${name}`
      elements.set(key, { path: `1/${key}`, accepts: checker.accepts, checker })
    }
  }
  return { what, elements, byCluster, endpoints }
}

function findPolicy(policies: Record<string, CommandPolicy>, command: string): CommandPolicy {
  const cluster = command.slice(0, command.indexOf('.'))
  for (const key of [command, `${cluster}.*`, '*']) {
    if (Object.hasOwn(policies, key)) return policies[key] as CommandPolicy
  }
  return DEFAULT_POLICY
}
