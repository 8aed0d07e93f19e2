import type { Grain } from './face.ts'

/** One row of a copy: so many times, in that step of time, a field had that value on devices of that kind. */
export interface Observation {
  /** Rounded down to the copy's grain. */
  atMs: number
  /** Pseudonym; absent where the copy does not have it, or nobody's in particular. */
  device: string | undefined
  model: string | undefined
  firmware: string | undefined
  field: string
  number: number | undefined
  label: string | undefined
  count: number
}

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS

export function roundDown(atMs: number, grain: Grain): number {
  const step = grain === 'hour' ? HOUR_MS : DAY_MS
  return atMs - (atMs % step)
}

/**
 * To three significant digits: enough for a distribution, and too little for a telephone number, an address, a place or a
 * serial that firmware put where a number belongs.
 */
export function coarse(value: number): number {
  return Number(value.toPrecision(3))
}

/** Equal rows as one, in an order that says nothing of the order in which things happened. */
export function aggregate(observations: readonly Observation[]): Observation[] {
  const byKey = new Map<string, Observation>()
  for (const each of observations) {
    const { atMs, device, model, firmware, field, number, label } = each
    const key = JSON.stringify([atMs, field, model, firmware, device, label, number])
    const known = byKey.get(key)
    if (known) known.count += each.count
    else byKey.set(key, { ...each })
  }
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, observation]) => observation)
}
