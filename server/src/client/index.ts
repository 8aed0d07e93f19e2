export {
  type Client,
  type ClientOptions,
  createClient,
  type PasskeyLink,
  type RequestOptions,
  type SignUp,
} from './client.ts'
export { ClientError, isClientError } from './client-error.ts'
export { newProofKey, type ProofKey } from './dpop.ts'
export type { LiveOptions, LiveUpdate } from './live.ts'
export { type PasskeyFile, passkeyFile } from './passkey-file.ts'
export { patient, patiently } from './patiently.ts'
export {
  fileSessionStore,
  memorySessionStore,
  type SessionStore,
  type StoredSession,
} from './session-store.ts'
export type { ClientId, SignInRequest } from './sign-in.ts'
export type { SoftwarePasskey } from './software-passkey.ts'
