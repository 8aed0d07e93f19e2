export { parseAddress } from './address.ts'
export type { How, Observation, ProbeResult, Silence, TlsFacts, Verdict } from './observation.ts'
export { protocols } from './protocols/list.ts'
export { type ProbeOptions, type ProbeProgress, probe } from './run.ts'
