export { type Api, type ApiOptions, createApi } from './api.ts'
export { type ApiLimits, defaultLimits } from './limits.ts'
export { statusOfCode } from './problems.ts'
