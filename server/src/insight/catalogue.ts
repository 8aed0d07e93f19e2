import type { AttributeModel, CommandModel, EventModel, FieldModel } from '@matter/model'
import type { FieldClass, RecordFields } from '../core/index.ts'
import { factFields } from './facts.ts'
import { classifyMatter, isMeasure, isProductNumber } from './matter-classes.ts'

export interface CatalogueEntry {
  /** `device.model`, `PowerSource.BatPercentRemaining`, `DoorLock.LockOperation.UserIndex`. */
  field: string
  of: 'record' | 'fact' | 'attribute' | 'event' | 'command'
  class: FieldClass
  /** A copy may name it. */
  copyable: boolean
  /** Names of an enumeration's values, by number: the only words that a value can become. */
  names?: ReadonlyMap<number, string> | undefined
  metatype?: string | undefined
}

export interface Catalogue {
  readonly entries: readonly CatalogueEntry[]
  get(field: string): CatalogueEntry | undefined
}

type Value = AttributeModel | EventModel | CommandModel | FieldModel

/** Deeper structures than this are not in Matter. */
const MAX_DEPTH = 8

/**
 * Every field that any event or record can have, with its class.
 * @param records what other rooms keep; nothing of it can be named in a copy
 * @param clusters of Matter, by name; all of them unless given. Loads `@matter/model`
 */
export async function createCatalogue(o: {
  records: readonly RecordFields[]
  clusters?: readonly string[] | undefined
}): Promise<Catalogue> {
  const entries: CatalogueEntry[] = []
  for (const { record, fields } of o.records) {
    for (const [field, of] of Object.entries(fields)) {
      entries.push({ field: `${record}.${field}`, of: 'record', class: of, copyable: false })
    }
  }
  for (const { record, fields } of factFields) {
    for (const [field, of] of Object.entries(fields)) {
      entries.push({ field: `${record}.${field}`, of: 'fact', class: of, copyable: mayLeave(of) })
    }
  }
  entries.push(...(await matterEntries(o.clusters)))
  const byField = new Map(entries.map((entry) => [entry.field, entry]))
  return { entries, get: (field) => byField.get(field) }
}

function mayLeave(of: FieldClass): boolean {
  return of === 'metric' || of === 'public'
}

async function matterEntries(clusters: readonly string[] | undefined): Promise<CatalogueEntry[]> {
  const { Matter } = await import('@matter/model')
  const entries: CatalogueEntry[] = []
  for (const cluster of Matter.clusters) {
    if (cluster.id === undefined || (clusters && !clusters.includes(cluster.name))) continue
    const walk = (
      kind: 'attribute' | 'event' | 'command',
      element: string,
      value: Value,
      path: string,
      depth: number,
    ) => {
      const { effectiveMetatype: metatype } = value
      // An event or a command is its fields.
      const isHolder = depth === 0 && kind !== 'attribute'
      if (!isHolder) {
        const of = classifyMatter({
          cluster: cluster.name,
          element,
          kind,
          type: value.effectiveType ?? '',
          metatype,
          fixed: 'fixed' in value && value.fixed === true,
        })
        // In a list or a structure nothing can be named: which entry is whose is a name by itself.
        const reachable = kind === 'attribute' ? depth === 0 : kind === 'event' && depth === 1
        entries.push({
          field: path,
          of: kind,
          class: of,
          copyable:
            reachable && mayLeave(of) && isMeasure(metatype) && !isProductNumber(cluster.name, element),
          names: metatype === 'enum' ? namesOf(value) : undefined,
          metatype,
        })
      }
      const inner = metatype === 'array' ? value.listEntry : value
      if (depth >= MAX_DEPTH || !inner) return
      if (!isHolder && inner.effectiveMetatype !== 'object') return
      for (const member of inner.members) {
        if (isLive(member as Value)) walk(kind, element, member as Value, `${path}.${member.name}`, depth + 1)
      }
    }
    for (const each of cluster.attributes) {
      if (isLive(each)) walk('attribute', each.name, each, `${cluster.name}.${each.name}`, 0)
    }
    for (const each of cluster.events) {
      if (isLive(each)) walk('event', each.name, each, `${cluster.name}.${each.name}`, 0)
    }
    for (const each of cluster.commands) {
      if (isLive(each)) walk('command', each.name, each, `${cluster.name}.${each.name}`, 0)
    }
  }
  return entries
}

function isLive(value: Value): boolean {
  return !value.isDeprecated && !value.isDisallowed && value.effectiveMetatype !== undefined
}

function namesOf(value: Value): Map<number, string> {
  return new Map(
    [...value.members]
      .filter((member) => typeof member.id === 'number')
      .map((member) => [member.id as number, member.name]),
  )
}
