import {
  type AccountId,
  type DeviceId,
  type HouseholdId,
  type KeyId,
  type ModelId,
  type Personal,
  recordFields,
  type Secret,
  type TenureId,
  type Tx,
} from '../core/index.ts'
import type { Act, MemberRole } from './acts.ts'
import type { DisputeProcess } from './dispute-face.ts'
import type { GuestSchedule } from './guest-schedule.ts'
import type { History, TenureEnd } from './history.ts'
import type { LogPage } from './household-event.ts'
import type { MembershipHistory } from './membership-history.ts'
import type { People } from './people-face.ts'
import type { DeviceResets } from './reset-face.ts'

/** A kind of product, as its maker describes it. Names of device types, clusters and commands are Matter's. */
export interface ModelDefinition {
  /** `^[a-z0-9-]{2,40}$` */
  name: string
  title: string
  vendor: string
  /** A Matter device type by name, e.g. `DoorLock`: its mandatory server clusters are taken. */
  deviceType: string
  /** Matter clusters beyond the device type's mandatory ones. */
  clusters?: string[] | undefined
  firmware?: string | undefined
  /** By `Cluster.Command`, `Cluster.*` or `*`, the closest one holds; `refuse` where nothing is said. */
  commands?: Record<string, CommandPolicy> | undefined
  claimPolicy: ClaimPolicy
  /** Its devices make a new key pair when they are asked to (Matter `OperationalCredentials`). */
  credentialRotation?: boolean | undefined
  /**
   * `fresh-code`: its devices make a new claim code at each physical reset (`$claimCode`), and a reset without one is
   * refused. Otherwise the label's code opens claims until the device brings one of its own.
   */
  reset?: 'fresh-code' | undefined
  /** The highest endpoint number that a payload may name; 16 unless said, at most 254. */
  endpoints?: number | undefined
}

export const modelFields = recordFields<ModelDefinition>('ModelDefinition', {
  name: 'public',
  title: 'public',
  vendor: 'public',
  deviceType: 'public',
  clusters: 'public',
  firmware: 'public',
  commands: 'public',
  claimPolicy: 'public',
  credentialRotation: 'public',
  reset: 'public',
  endpoints: 'public',
})

export interface CommandPolicy {
  /** What becomes of a command while the device is offline. */
  whenOffline: 'refuse' | 'queue'
  /** How long a command waits for its device before it expires, 1..604800. */
  expiresSeconds: number
}

/**
 * What a physical reset of a held device does. `possession`: it ends the tenure, and whoever has the device and its code
 * may claim it. `release-required`: nothing; its household must release it, or an operator's dispute must run its course.
 */
export type ClaimPolicy = 'release-required' | 'possession'

/**
 * `paths` are canonical: `1/OnOff.OnOff`. `reason` is for the device's developer and holds no value. `reset`: the payload
 * is the one event by which a device says that it was physically reset, `claimCode` what it brings.
 */
export type Checked =
  | {
      ok: true
      paths: string[]
      messageId?: string | undefined
      reset?: true | undefined
      claimCode?: Secret | undefined
    }
  | Refused
export type Refused = { ok: false; reason: string }
export type CheckedResult = { ok: true; paths: string[]; commandId: string; status: string } | Refused
/** `act`: what the sender must be allowed; more than `control` for what outlasts the moment, such as another PIN code. */
export type CheckedCommand =
  | { ok: true; paths: string[]; policy: CommandPolicy; act: 'control' | 'configure' }
  | Refused

/** What may be read by others than the sender. `withheld`: paths of what is not in it, such as `Credential.CredentialData`. */
export interface Redacted {
  value: unknown
  withheld: string[]
}

export interface Model {
  readonly id: ModelId
  readonly name: string
  readonly title: string
  readonly vendor: string
  readonly deviceType: string
  readonly clusters: readonly string[]
  readonly firmware: string | undefined
  readonly claimPolicy: ClaimPolicy
  readonly credentialRotation: boolean
  readonly reset: 'fresh-code' | undefined
  readonly endpoints: number
  /** `{"OnOff.OnOff":true,"2/LevelControl.CurrentLevel":128}`, optional `$id` and `$at`. */
  checkAttributes(payload: unknown): Checked
  /** `{"DoorLock.LockOperation":{…}}`, the same optional members. */
  checkEvents(payload: unknown): Checked
  /** `{"id":commandId,"status":"SUCCESS","response":{…}?}`; the response is bounded here, its fields by `checkResponse`. */
  checkResult(payload: unknown): CheckedResult
  /** A command towards the device; `paths` holds `1/OnOff.Toggle`. */
  checkCommand(command: string, args: unknown, endpoint?: number): CheckedCommand
  /** The response of a result against the response that Matter defines for the command. */
  checkResponse(command: string, response: unknown): Checked
  /**
   * A command's arguments, or what a device answered to it, without secrets (PIN codes, credentials, keys) and without
   * what Matter does not define there; nothing of an unknown command.
   */
  redactArguments(command: string, args: unknown): Redacted
  redactResponse(command: string | undefined, response: unknown): Redacted
  /** The strictest policy where the command is unknown. */
  commandPolicy(command: string): CommandPolicy
  /** For readers: canonical paths, enum integers by their Matter names, without the `$` members. Of a checked payload. */
  normaliseAttributes(payload: object): Record<string, unknown>
  normaliseEvents(payload: object): Record<string, unknown>
}

export interface ProvisionedDevice {
  deviceId: DeviceId
  certificatePem: string
  /** PKCS#8 PEM; only where the pair was made here. It is handed over once and never stored. */
  privateKeyPem?: Secret | undefined
  /** `XXXX-XXXX-XXXX-XXXX` */
  claimCode: Secret
  password?: Secret | undefined
}

export type ProvisionRequest =
  | { modelId: ModelId; count: number }
  /** PKCS#10 in PEM, P-256 or Ed25519, each signed by its own key. */
  | { modelId: ModelId; requests: string[] }

/** The time in which one household holds one device. All access hangs on it. */
export interface Tenure {
  tenureId: TenureId
  deviceId: DeviceId
  householdId: HouseholdId
  keyId: KeyId
  /** To the hour: the exact moment is nowhere in plain. */
  startedHourMs: number
}

export const tenureFields = recordFields<Tenure>('Tenure', {
  tenureId: 'identifying',
  deviceId: 'identifying',
  householdId: 'identifying',
  keyId: 'identifying',
  startedHourMs: 'metric',
})

export interface DeviceIdentity {
  deviceId: DeviceId
  model: Model
  tenure: Tenure | undefined
  method: 'certificate' | 'token' | 'password'
  /** It is to be asked for a new key pair. */
  rotationDue: boolean
  /** In which it has proved who it is: `resets.onReset` tells what a later one has made of it. */
  epoch: number
}

export type { Act, History, MemberRole, TenureEnd }

export interface Household {
  householdId: HouseholdId
  name: Personal
  /** The asking account's role. */
  role: MemberRole
  /** The asking account's times, when it is a guest. */
  schedule?: GuestSchedule | undefined
}

export interface HeldDevice {
  deviceId: DeviceId
  tenureId: TenureId
  householdId: HouseholdId
  keyId: KeyId
  model: Model
  nickname: Personal | undefined
  startedHourMs: number
  /**
   * Whether what was read for this answer still lets the account see it at that moment: a guest's hours and an
   * operator's grant end by time alone. It knows nothing of changes since.
   */
  visibleAt(atMs: number): boolean
  /** The account sees nothing of what happened before: 0 for members, else when its grant began. State is of now. */
  seesFromMs: number
}

/** A tenure on which the account may do what was asked. */
export interface AuthorizedTenure extends Tenure {
  /** As in `HeldDevice`. */
  seesFromMs: number
}

/** A device that a household held once, and whose history it kept. */
export interface PastDevice extends Omit<HeldDevice, 'visibleAt'> {
  endedAtMs: number
  /** Undefined for tenures that ended before this was written down. */
  how: TenureEnd | undefined
}

/**
 * Runs within the transaction that ends a tenure, or destroys the history of one that has ended: whoever keeps things
 * on tenures ends them here. With `destroyed`, nothing of the tenure may be left; its key is destroyed afterwards.
 */
export type BeforeTenureEnds = (tx: Tx, tenure: Tenure, end: { history: History }) => Promise<void>

export interface TransferOffer {
  untilMs: number
  history: History
}

export interface TenureChange {
  deviceId: DeviceId
  tenure: Tenure | undefined
}

/** Who may see or do what in a household has changed: members, guests, grants. */
export interface AccessChange {
  householdId: HouseholdId
}

export interface Registry extends People, DisputeProcess, MembershipHistory {
  /** Makes or opens the device authority. */
  start(): Promise<void>
  close(): Promise<void>

  /** @throws AppError model_invalid with what to change; conflict when the name is taken by another definition */
  addModel(definition: ModelDefinition, by?: AccountId): Promise<Model>
  /** @throws AppError not_found */
  model(id: ModelId): Promise<Model>
  modelByName(name: string): Promise<Model | undefined>
  models(): Promise<Model[]>

  /** PEM of the installation's device authority. Known once started. */
  authorityCertificate(): string
  /** TLS server certificate for these DNS names and IP addresses; made anew when they change or its end is near. */
  serverIdentity(hostnames: string[]): Promise<{ certificatePem: string; privateKeyPem: Secret }>
  /** 1..1000 devices in one transaction. @throws AppError invalid_request naming the request that does not hold */
  provision(
    request: ProvisionRequest,
    options?: { withPassword?: boolean | undefined; by?: AccountId | undefined },
  ): Promise<ProvisionedDevice[]>

  /** Of a client certificate whose private key TLS has proved. All three throw AppError unauthenticated alike. */
  verifyDeviceCertificate(der: Buffer): Promise<DeviceIdentity>
  verifyDeviceToken(deviceId: string, jwt: string): Promise<DeviceIdentity>
  verifyDevicePassword(deviceId: string, password: string): Promise<DeviceIdentity>

  /**
   * Devices of models that can replace their key pairs do so when they connect next: after a theft, and as part of a
   * reset of everything. @returns how many that are
   */
  requestRotation(tx: Tx, deviceIds: readonly DeviceId[]): Promise<number>
  isRotationDue(deviceId: DeviceId): Promise<boolean>
  /**
   * The device's answer to `nonce`: a PKCS#10 request (DER) for its new key, and its present key's signature over the
   * request and the nonce. From its first connection with the new key on, nothing else is accepted from it.
   * @throws AppError not_found when none is due; invalid_request
   */
  rotateCredential(answer: {
    deviceId: DeviceId
    nonce: Buffer
    request: Buffer
    signature: Buffer
  }): Promise<{ certificateDer: Buffer }>

  createHousehold(accountId: AccountId, household: { name: Personal }): Promise<Household>
  households(accountId: AccountId): Promise<Household[]>
  household(accountId: AccountId, householdId: HouseholdId): Promise<Household>
  /** What happened in it, for its owners and adults. @throws AppError not_found, invalid_request */
  householdLog(
    accountId: AccountId,
    householdId: HouseholdId,
    page: { before?: number | undefined; limit: number },
  ): Promise<LogPage>

  /**
   * A device that somebody held before must have been reset within the last quarter of an hour, and after that tenure.
   * @throws AppError claim_refused alike for an unknown code, a held device, one offline and one that was not reset
   */
  claim(request: {
    accountId: AccountId
    householdId: HouseholdId
    code: Secret
    nickname?: Personal | undefined
  }): Promise<Tenure>
  devices(accountId: AccountId, householdId: HouseholdId): Promise<HeldDevice[]>
  /** The device, when the account may do this on it now: `view` unless said. @throws AppError not_found */
  device(accountId: AccountId, deviceId: DeviceId, act?: Act): Promise<HeldDevice>
  renameDevice(accountId: AccountId, deviceId: DeviceId, nickname: Personal): Promise<void>
  /**
   * Ends the tenure: nobody holds the device then. For owners.
   * @throws AppError not_found
   */
  release(request: { accountId: AccountId; deviceId: DeviceId; history: History }): Promise<void>
  /**
   * A code, good once and for a day, by which another household takes the device over. A device has one open offer at
   * most: a new one takes the place of the earlier. For owners. @throws AppError not_found
   */
  offerTransfer(request: {
    accountId: AccountId
    deviceId: DeviceId
    history: History
  }): Promise<TransferOffer & { code: Secret }>
  transferOffer(accountId: AccountId, deviceId: DeviceId): Promise<TransferOffer | undefined>
  cancelTransfer(accountId: AccountId, deviceId: DeviceId): Promise<void>
  /**
   * Ends the tenure that offered the device and begins the next, in one commit.
   * @throws AppError code_refused alike for every code that does not hold; conflict when it is this household's own
   */
  acceptTransfer(request: {
    accountId: AccountId
    householdId: HouseholdId
    code: Secret
    nickname?: Personal | undefined
  }): Promise<Tenure>
  /**
   * The device has said, over its own session, that it was physically reset. `tenure` is the one in which it said so.
   * Of a model whose policy is `possession` it ends that tenure. `claimCode`: from now on this one opens claims, and no
   * earlier one. The same message again changes nothing. @throws AppError conflict when another device has that code
   */
  recordReset(reset: {
    deviceId: DeviceId
    tenure: Tenure | undefined
    messageId: string
    claimCode?: Secret | undefined
  }): Promise<{ tenureEnded: boolean }>
  isResetKnown(reset: { deviceId: DeviceId; messageId: string }): Promise<boolean>

  /** What the household held once and kept the history of, latest first. @throws AppError not_found */
  pastDevices(accountId: AccountId, householdId: HouseholdId): Promise<PastDevice[]>
  /** @throws AppError not_found when the tenure holds still, its history was destroyed, or the account may not see it */
  pastDevice(accountId: AccountId, tenureId: TenureId): Promise<PastDevice>
  /** Of an ended tenure, for good. For owners. @throws AppError not_found */
  destroyHistory(accountId: AccountId, tenureId: TenureId): Promise<void>
  /** Hooks run in the order in which they were added. Returns the way to take it away. */
  beforeTenureEnds(hook: BeforeTenureEnds): () => void

  /** Of tenures that hold and of those that have ended, for rooms that keep what belongs to them. Unknown ones are left out. */
  tenures(ids: readonly TenureId[]): Promise<{ tenure: Tenure; model: Model }[]>
  /** Of the devices among these that there are. */
  deviceModels(deviceIds: readonly DeviceId[]): Promise<Map<DeviceId, Model>>
  currentTenure(deviceId: DeviceId): Promise<Tenure | undefined>
  /** The last few that have ended, latest first; in no order within one hour. */
  formerTenures(deviceId: DeviceId): Promise<TenureId[]>
  /** Within `tx`, for rooms that write on a tenure under a lock that their `beforeTenureEnds` takes as well. */
  holdsNow(tx: Tx, tenureId: TenureId): Promise<boolean>
  /**
   * Called after the commit, also for what another process did; sometimes again without news. Returns the way to stop
   * listening.
   * @param concerned devices of which nothing may be missed: told of again when this process did not hear for a while
   */
  onTenureChange(listener: (change: TenureChange) => void, concerned?: () => DeviceId[]): () => void
  /** The same for members, guests and grants. */
  onAccessChange(listener: (change: AccessChange) => void): () => void
  /**
   * May this account do this, on this tenure, now? Denies by default; each path asks at the moment of acting.
   * @throws AppError not_found: absent and forbidden look alike
   */
  authorize(request: { accountId: AccountId; tenureId: TenureId; act: Act }): Promise<AuthorizedTenure>
  /**
   * Locks and cameras do not obey this account until then (rounded up to the hour), and it lets nobody into its
   * households. A later end stands.
   */
  holdBack(tx: Tx, accountId: AccountId, untilMs: number): Promise<void>
  /** Ends that before its time. */
  endHold(tx: Tx, accountId: AccountId): Promise<void>

  readonly resets: DeviceResets
  stats(): Record<string, number>
}
