import type { Secret } from '../core/index.ts'
import { freshClaimCode } from './claim-code.ts'
import type { Checked, Refused } from './face.ts'
import { clip, isObject, shownName, type ValueChecker } from './matter-checker.ts'

/** One attribute or event of a model. */
export interface Element {
  /** On endpoint 1, where a payload names no other. */
  path: string
  accepts(value: unknown): boolean
  checker: ValueChecker
}

/** The attributes, or the events, that a model's clusters have. */
export interface ElementTable {
  what: 'attribute' | 'event'
  elements: ReadonlyMap<string, Element>
  /** Names of the elements of each cluster, for reasons. */
  byCluster: ReadonlyMap<string, readonly string[]>
  endpoints: number
}

const MAX_MEMBERS = 64

/**
 * Checks a parsed payload member by member. The first loop is the hot path (each attribute of each device):
 * one map look-up and one closure per member; everything else happens for rare members and for refusals.
 */
export function checkPayload(table: ElementTable, payload: unknown): Checked {
  if (!isObject(payload)) return refuse(`expected a JSON object of ${table.what}s by their Matter names`)
  const paths: string[] = []
  let messageId: string | undefined
  let claimCode: Secret | undefined
  let members = 0
  for (const key in payload) {
    if (++members > MAX_MEMBERS) return refuse(`a payload has at most ${MAX_MEMBERS} members`)
    const value = payload[key]
    const element = table.elements.get(key)
    if (element !== undefined) {
      if (!element.accepts(value)) return refuse(element.checker.explain(value, key))
      paths.push(element.path)
    } else if (key.charCodeAt(0) === DOLLAR) {
      const reason = checkReserved(key, value)
      if (reason !== undefined) return refuse(reason)
      if (key === '$id') messageId = value as string
      else if (key === '$claimCode') claimCode = freshClaimCode(value as string)
    } else {
      const path = checkPrefixed(table, payload, key, value)
      if (typeof path !== 'string') return path
      paths.push(path)
    }
  }
  if (paths.length === 0) return refuse(`expected at least one ${table.what}`)
  if (claimCode) return { ok: true, paths, messageId, claimCode }
  return messageId === undefined ? { ok: true, paths } : { ok: true, paths, messageId }
}

/** Canonical paths and named enums of a payload that has been checked. */
export function normalisePayload(table: ElementTable, payload: object): Record<string, unknown> {
  const entries: [string, unknown][] = []
  for (const [key, value] of Object.entries(payload)) {
    const slash = key.indexOf('/')
    const element = table.elements.get(slash < 0 ? key : key.slice(slash + 1))
    if (!element) continue
    entries.push([slash < 0 ? element.path : key, element.checker.normalise(value)])
  }
  return Object.fromEntries(entries)
}

export function refuse(reason: string): Refused {
  return { ok: false, reason: clip(reason, 500) }
}

/** A decimal endpoint number without leading zeros, or undefined. */
function endpointNumber(text: string): number | undefined {
  return /^(0|[1-9][0-9]{0,2})$/.test(text) ? Number(text) : undefined
}

/** Why `Cluster.Name` is not there, and what is. */
export function explainUnknown(
  what: string,
  name: string,
  byCluster: ReadonlyMap<string, readonly string[]>,
): string {
  const cluster = name.slice(0, Math.max(0, name.indexOf('.')))
  const names = byCluster.get(cluster)
  if (names) {
    const known = names.length > 0 ? `it has ${clip(names.join(', '))}` : 'it has none'
    return `${shownName(name)}: the cluster ${cluster} has no ${what} of that name; ${known}`
  }
  const clusters = clip([...byCluster.keys()].join(', '))
  return `${shownName(name)}: expected Cluster.Name with a cluster of this model: ${clusters}`
}

const DOLLAR = 36
const MESSAGE_ID = /^[\x21-\x7e]{1,64}$/
// RFC 3339, the profile of ISO 8601 with a date, a time and an offset.
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/

function checkReserved(key: string, value: unknown): string | undefined {
  if (key === '$id') {
    const fits = typeof value === 'string' && MESSAGE_ID.test(value)
    return fits ? undefined : '$id: expected a string of 1..64 visible ASCII characters'
  }
  if (key === '$at') {
    const fits =
      typeof value === 'string' && value.length <= 40 && TIME.test(value) && !Number.isNaN(Date.parse(value))
    return fits ? undefined : '$at: expected a time in ISO 8601, for instance 2026-01-31T12:00:00Z'
  }
  if (key === '$claimCode') {
    const fits = typeof value === 'string' && freshClaimCode(value) !== undefined
    return fits
      ? undefined
      : '$claimCode: expected 20..32 random characters of 0-9 and A-Z without I, L, O, U'
  }
  return 'of the members that begin with $ there are $id, $at and, with a reset, $claimCode only'
}

function checkPrefixed(
  table: ElementTable,
  payload: Record<string, unknown>,
  key: string,
  value: unknown,
): string | Refused {
  const slash = key.indexOf('/')
  if (slash < 0) return refuse(explainUnknown(table.what, key, table.byCluster))
  const endpoint = endpointNumber(key.slice(0, slash))
  if (endpoint === undefined || endpoint > table.endpoints) {
    return refuse(`${shownName(key)}: expected an endpoint number 0..${table.endpoints} before the slash`)
  }
  const name = key.slice(slash + 1)
  const element = table.elements.get(name)
  if (!element) return refuse(explainUnknown(table.what, name, table.byCluster))
  // Two values for one attribute in one payload: neither can be right.
  if (endpoint === 1 && Object.hasOwn(payload, name)) {
    return refuse(`${key}: stands twice, as endpoint 1 is meant where none is named`)
  }
  return element.accepts(value) ? key : refuse(element.checker.explain(value, key))
}
