export { type Act, type RecordAct, recordNothing } from './act.ts'
export { type Bus, type BusOptions, createBus, type Hint, type HintListener } from './bus.ts'
export {
  type Cache,
  type CacheOptions,
  type Caches,
  createCaches,
  keptInMemory,
  type Store,
} from './cache.ts'
export { type Clock, systemClock } from './clock.ts'
export { type Database, type DatabaseOptions, openDatabase, type Queries, type Tx } from './database.ts'
export { AppError, type AppErrorOptions, type ErrorCode, errorCatalogue, isAppError } from './errors.ts'
export {
  type FieldClass,
  type FieldClasses,
  fieldClasses,
  type RecordFields,
  recordFields,
} from './field-class.ts'
export {
  type AccountId,
  asId,
  type CommandId,
  type CopyId,
  type DeviceId,
  type DisputeId,
  type GrantId,
  type HouseholdId,
  type InvitationId,
  idFromBytes,
  idToBytes,
  isId,
  type KeyId,
  type LetterId,
  type ModelId,
  newId,
  newOrderedId,
  type RecordId,
  type SupportRequestId,
  type TenureId,
} from './ids.ts'
export { endlessLease, type Lease, type LeaseClock } from './lease.ts'
export { createLog, type Log, type LogFields, type LogLevel, silentLog } from './log.ts'
export { type Migrations, migrate } from './migrate.ts'
export { neighbourhood, network, widerNetworks } from './network.ts'
export { bigintArray, byteaArray, smallintArray, timeArray, uuidArray } from './postgres-arrays.ts'
export { type Door, noticeNothing, type PresentedInVain } from './presented.ts'
export { Personal, Secret } from './redact.ts'
