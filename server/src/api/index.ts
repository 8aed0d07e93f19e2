export { type Api, type ApiOptions, createApi } from './api.ts'
export { type ApiLimits, defaultLimits } from './limits.ts'
export { createOps, type Ops, type OpsOptions } from './ops-server.ts'
export { statusOfCode } from './problems.ts'
