/** Counted since the start. */
export interface Counters {
  publishes: number
  acknowledged: number
  refusedPublishes: number
  recognisedResends: number
  refusedConnects: number
  takenOver: number
  slowConsumers: number
  keepAliveTimeouts: number
  commandsSent: number
  commandsDelivered: number
  closedByReset: number
}

export function newCounters(): Counters {
  return {
    publishes: 0,
    acknowledged: 0,
    refusedPublishes: 0,
    recognisedResends: 0,
    refusedConnects: 0,
    takenOver: 0,
    slowConsumers: 0,
    keepAliveTimeouts: 0,
    commandsSent: 0,
    commandsDelivered: 0,
    closedByReset: 0,
  }
}

/** As metrics: `gateway_publishes_total`. */
export function counterStats(counters: Counters): Record<string, number> {
  return Object.fromEntries(
    Object.entries(counters).map(([name, value]) => [
      `gateway_${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}_total`,
      value,
    ]),
  )
}
