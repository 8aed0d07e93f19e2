import type { ClusterModel, DeviceTypeModel, MatterModel } from '@matter/model'
import type { ValueChecker } from './matter-checker.ts'
import { compileFields, compileValue, isLive, type Numeric } from './matter-value.ts'

/** One Matter cluster, compiled: what a payload may say about it. Names as `@matter/model` writes them. */
export interface CompiledCluster {
  name: string
  attributes: ReadonlyMap<string, ValueChecker>
  events: ReadonlyMap<string, ValueChecker>
  commands: ReadonlyMap<string, CompiledCommand>
}

export interface CompiledCommand {
  /** What it takes to send it: `control` where Matter asks for its privilege Operate, `configure` where for a higher one. */
  act: 'control' | 'configure'
  arguments: ValueChecker
  /** Undefined where Matter answers with a status only. */
  response: ValueChecker | undefined
}

/** Matter core specification, section 7.6: what a command needs stands where data has its privilege to write. */
const OPERATE = 'O'

export interface MatterLibrary {
  /** The mandatory server clusters of a device type, `Descriptor` first; undefined where there is no such type. */
  clustersOf(deviceType: string): string[] | undefined
  cluster(name: string): CompiledCluster | undefined
  /** Interaction Model status codes in the form `INVALID_IN_STATE` (Matter core specification, section 8.10). */
  readonly statusNames: ReadonlySet<string>
}

/** Loads `@matter/model`, half a second and tens of megabytes: at the first use, once. */
export function createMatterLibrary(): () => Promise<MatterLibrary> {
  let loading: Promise<MatterLibrary> | undefined
  return () => {
    loading ??= import('@matter/model').then(({ Matter, FieldValue }) =>
      library(Matter, FieldValue.numericValue),
    )
    return loading
  }
}

function library(matter: MatterModel, numeric: Numeric): MatterLibrary {
  const compiled = new Map<string, CompiledCluster>()
  const statusType = matter.datatypes('status')
  return {
    clustersOf(name) {
      const type = isOwnName(name) ? matter.deviceTypes(name) : undefined
      return type && type.id !== undefined && type.name === name ? mandatoryClusters(type) : undefined
    },
    cluster(name) {
      const known = compiled.get(name)
      if (known) return known
      const source = isOwnName(name) ? matter.clusters(name) : undefined
      // Clusters without an id are bases that others derive from; no endpoint has them.
      if (!source || source.id === undefined || source.name !== name) return undefined
      const cluster = compileCluster(source, numeric)
      compiled.set(name, cluster)
      return cluster
    },
    statusNames: new Set([...(statusType?.children ?? [])].map((status) => upperSnake(status.name))),
  }
}

function isOwnName(name: string): boolean {
  return /^[A-Z][A-Za-z0-9]{1,60}$/.test(name)
}

function mandatoryClusters(type: DeviceTypeModel): string[] {
  const clusters = ['Descriptor']
  const settled = new Set(clusters)
  // A derived device type speaks first: it may have disallowed what its base demands.
  for (let each: DeviceTypeModel | undefined = type; each; each = each.base as DeviceTypeModel | undefined) {
    for (const requirement of each.requirements) {
      if (requirement.element !== 'serverCluster' || settled.has(requirement.name)) continue
      settled.add(requirement.name)
      if (requirement.isMandatory) clusters.push(requirement.name)
    }
  }
  return clusters
}

function compileCluster(source: ClusterModel, numeric: Numeric): CompiledCluster {
  const attributes = new Map<string, ValueChecker>()
  for (const attribute of source.attributes) {
    if (isLive(attribute)) attributes.set(attribute.name, compileValue(attribute, numeric))
  }
  const events = new Map<string, ValueChecker>()
  for (const event of source.events) {
    if (isLive(event)) events.set(event.name, compileFields(event, numeric))
  }
  const commands = new Map<string, CompiledCommand>()
  for (const command of source.commands) {
    if (!command.isRequest || !isLive(command)) continue
    const response = command.responseModel
    commands.set(command.name, {
      act: command.effectiveAccess.writePriv === OPERATE ? 'control' : 'configure',
      arguments: compileFields(command, numeric),
      response: response && compileFields(response, numeric),
    })
  }
  return { name: source.name, attributes, events, commands }
}

function upperSnake(name: string): string {
  return name.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()
}
