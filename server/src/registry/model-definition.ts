import { AppError } from '../core/index.ts'
import type { ModelDefinition } from './face.ts'
import { isObject, shownName } from './matter-checker.ts'
import type { MatterLibrary } from './matter-library.ts'
import { clusterNames } from './matter-model.ts'

const MAX_CLUSTERS = 40
const MAX_POLICIES = 100
const WEEK_SECONDS = 604_800
const MEMBERS = [
  'name',
  'title',
  'vendor',
  'deviceType',
  'clusters',
  'firmware',
  'commands',
  'claimPolicy',
  'credentialRotation',
  'reset',
  'endpoints',
]

/**
 * Takes a definition from outside: every member known, in range, and meaningful in Matter. Returns it without
 * anything else. @throws AppError model_invalid that says what to change
 */
export function parseModelDefinition(library: MatterLibrary, input: unknown): ModelDefinition {
  if (!isObject(input)) throw invalid('A model is a JSON object.')
  const other = Object.keys(input).find((key) => !MEMBERS.includes(key))
  if (other !== undefined) {
    throw invalid(`There is no member ${shownName(other)}; the members are ${MEMBERS.join(', ')}.`)
  }
  if (!isText(input.name, 40) || !/^[a-z0-9-]{2,40}$/.test(input.name)) {
    throw invalid('name: expected 2..40 characters of a-z, 0-9 and -.')
  }
  for (const key of ['title', 'vendor'] as const) {
    if (!isText(input[key], 80)) throw invalid(`${key}: expected text of 1..80 characters.`)
  }
  if (input.firmware !== undefined && !isText(input.firmware, 40)) {
    throw invalid('firmware: expected text of 1..40 characters.')
  }
  if (typeof input.deviceType !== 'string' || !library.clustersOf(input.deviceType)) {
    throw invalid('deviceType: expected a Matter device type by its name, for instance DoorLock.')
  }
  if (input.claimPolicy !== 'release-required' && input.claimPolicy !== 'possession') {
    throw invalid('claimPolicy: expected release-required or possession.')
  }
  if (input.credentialRotation !== undefined && typeof input.credentialRotation !== 'boolean') {
    throw invalid('credentialRotation: expected true or false.')
  }
  if (input.reset !== undefined && input.reset !== 'fresh-code') {
    throw invalid('reset: expected fresh-code, or nothing.')
  }
  const { endpoints } = input
  if (endpoints !== undefined && !isWithin(endpoints, 1, 254)) throw invalid('endpoints: expected 1..254.')
  checkClusters(library, input.clusters)
  const definition = { ...input } as unknown as ModelDefinition
  checkPolicies(library, definition, input.commands)
  return definition
}

function checkClusters(library: MatterLibrary, clusters: unknown): void {
  if (clusters === undefined) return
  if (!Array.isArray(clusters) || clusters.length > MAX_CLUSTERS) {
    throw invalid(`clusters: expected a list of at most ${MAX_CLUSTERS} Matter clusters.`)
  }
  clusters.forEach((name, at) => {
    if (typeof name !== 'string' || !library.cluster(name)) {
      throw invalid(`clusters[${at}]: expected a Matter cluster by its name, for instance OccupancySensing.`)
    }
  })
}

function checkPolicies(library: MatterLibrary, definition: ModelDefinition, policies: unknown): void {
  if (policies === undefined) return
  if (!isObject(policies) || Object.keys(policies).length > MAX_POLICIES) {
    throw invalid(`commands: expected an object of at most ${MAX_POLICIES} policies.`)
  }
  const known = new Set(['*'])
  for (const name of clusterNames(library, definition)) {
    known.add(`${name}.*`)
    for (const command of library.cluster(name)?.commands.keys() ?? []) known.add(`${name}.${command}`)
  }
  for (const [key, policy] of Object.entries(policies)) {
    const path = `commands ${shownName(key)}`
    if (!known.has(key)) throw invalid(`${path}: expected a command of this model, Cluster.* or *.`)
    if (!isObject(policy)) throw invalid(`${path}: expected whenOffline and expiresSeconds.`)
    const { whenOffline, expiresSeconds, ...others } = policy
    if (whenOffline !== 'refuse' && whenOffline !== 'queue') {
      throw invalid(`${path}: whenOffline is refuse or queue.`)
    }
    if (!isWithin(expiresSeconds, 1, WEEK_SECONDS)) {
      throw invalid(`${path}: expiresSeconds is 1..${WEEK_SECONDS}.`)
    }
    if (Object.keys(others).length > 0)
      throw invalid(`${path}: whenOffline and expiresSeconds, nothing else.`)
  }
}

function isText(value: unknown, most: number): value is string {
  return typeof value === 'string' && value.length >= 1 && value.length <= most && !/\p{Cc}/u.test(value)
}

function isWithin(value: unknown, min: number, max: number): boolean {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max
}

function invalid(message: string): AppError {
  return new AppError('model_invalid', { message })
}
