export type { AccountCare, AccountLetter, Notice, SessionInfo } from './account-face.ts'
export { sessionFields } from './account-face.ts'
export { dpopAlgorithms } from './authenticate.ts'
export type {
  AccountKind,
  Allowance,
  Identity,
  IdentityLimits,
  IdentityOptions,
  NewPerson,
  OperatorRole,
  PasskeyLink,
  PasskeyView,
  Principal,
  ResourceRequest,
  SignInMethod,
} from './face.ts'
export { createIdentity } from './identity.ts'
export { identityMigrations } from './migrations.ts'
export { page } from './page.ts'
export type { HeardReset, SignInCounts, SignInReach, SignInReset, SignInResets } from './reset-face.ts'
