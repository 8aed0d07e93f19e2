/** What a simulated device reports: Matter attributes and events by their names (`OnOff.OnOff`). */
export interface Report {
  kind: 'attributes' | 'events'
  payload: Record<string, unknown>
}

export interface CommandAnswer {
  /** A Matter status code's name (Matter core specification 8.10). */
  status: 'SUCCESS' | 'UNSUPPORTED_COMMAND' | 'CONSTRAINT_ERROR'
  reports: Report[]
}

/** Inside of one device: what it says when it wakes, now and then, and when it is told to do something. */
export interface Behaviour {
  /** Everything it knows of itself, reported at each connection. */
  wake(): Report[]
  /** Something that happens by itself. */
  stir(): Report[]
  obey(command: string, args: Record<string, unknown>): CommandAnswer
}

/** A number from 0 up to, not including, 1. Injected, so that a run can be repeated. */
export type Random = () => number

export const attributes = (payload: Record<string, unknown>): Report => ({ kind: 'attributes', payload })
export const event = (name: string, fields: Record<string, unknown>): Report => ({
  kind: 'events',
  payload: { [name]: fields },
})
export const done = (...reports: Report[]): CommandAnswer => ({ status: 'SUCCESS', reports })
export const unsupported: CommandAnswer = { status: 'UNSUPPORTED_COMMAND', reports: [] }

export function between(random: Random, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1))
}
