export { dpopAlgorithms } from './authenticate.ts'
export type {
  AccountKind,
  Allowance,
  Identity,
  IdentityLimits,
  IdentityOptions,
  NewPerson,
  OperatorRole,
  Principal,
  ResourceRequest,
  SignInMethod,
} from './face.ts'
export { createIdentity } from './identity.ts'
export { identityMigrations } from './migrations.ts'
