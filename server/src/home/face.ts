import {
  type AccountId,
  type CommandId,
  type DeviceId,
  type HouseholdId,
  type Personal,
  recordFields,
  type TenureId,
} from '../core/index.ts'

/** A device as its household sees it now. Times in milliseconds since the epoch. */
export interface DeviceView {
  deviceId: DeviceId
  householdId: HouseholdId
  model: { name: string; title: string; deviceType: string }
  nickname: Personal | undefined
  /** The server's own knowledge, from the device's connection. */
  online: boolean
  /** When the server last heard of the device in this tenure. */
  lastSeenMs?: number | undefined
  /** By path, `endpoint/Cluster.Attribute`, such as `1/OnOff.OnOff`. */
  attributes: Record<string, { value: unknown; atMs: number }>
}

export interface TimelineEntry {
  /** Place in the home's order; grows with time, has gaps. Not the stream's number. */
  seq: number
  atMs: number
  kind: 'attributes' | 'events' | 'availability' | 'command'
  /**
   * attributes, events: by path. availability: `{online}`. command: `CommandEvent`.
   */
  payload: object
}

/**
 * What happened to a command: it was asked for, the device answered, or it ended without the device.
 * `result` is what the device said: when the command had ended before, it changed nothing. An answer to what is no
 * command of this tenure has nothing with it. Secrets are not in it, for nobody: `withheld` names them.
 */
export type CommandEvent =
  | {
      event: 'requested'
      commandId: CommandId
      command: string
      endpoint?: number | undefined
      arguments: unknown
      withheld?: string[] | undefined
    }
  | {
      event: 'result'
      commandId?: CommandId | undefined
      status?: string | undefined
      response?: object | undefined
      withheld?: string[] | undefined
    }
  | {
      /** abandoned: the tenure ended first, and nobody learns any more what the device did. */
      event: 'expired' | 'refused' | 'abandoned'
      commandId: CommandId
      command: string
      status?: string | undefined
    }

export const commandEventFields = recordFields<CommandEvent>('CommandEvent', {
  event: 'sensitive',
  commandId: 'identifying',
  command: 'sensitive',
  endpoint: 'sensitive',
  arguments: 'personal',
  withheld: 'sensitive',
  status: 'metric',
  response: 'personal',
})

export interface TimelinePage {
  /** Newest first. */
  entries: TimelineEntry[]
  /** Pass as `before` for the next, older page; absent on the last one. */
  next?: number | undefined
}

export type CommandState = 'queued' | 'delivered' | 'succeeded' | 'failed' | 'expired'

export interface CommandView {
  commandId: CommandId
  deviceId: DeviceId
  /** Matter's name: `DoorLock.LockDoor`. */
  command: string
  /** queued → delivered (the device acknowledged receipt) → succeeded | failed; expired when its time ran out first. */
  state: CommandState
  requestedAtMs: number
  expiresAtMs: number
  deliveredAtMs?: number | undefined
  finishedAtMs?: number | undefined
  /**
   * Matter's status code name, from the device; `UNSUPPORTED_ACCESS` when it was no longer allowed at delivery, or when
   * the tenure ended first.
   */
  status?: string | undefined
  /** Whole for who asked; for others without secrets, and so in live updates. */
  response?: object | undefined
  /** Paths of what others may not read of the response. */
  withheld?: string[] | undefined
}

export type LiveUpdate =
  | {
      deviceId: DeviceId
      seq: number
      kind: 'attributes' | 'events' | 'availability'
      atMs: number
      payload: object
    }
  | { kind: 'command'; deviceId: DeviceId; command: CommandView }
  /** Updates were left out, or a device came or went: read the devices again. More updates follow. */
  | { kind: 'resync' }
  /** It can't be known any more what the watcher may see, or this process is cut off: nothing follows, begin again. */
  | { kind: 'interrupted' }
  /** The watcher may no longer see this household: nothing follows. */
  | { kind: 'ended' }

/** Return a promise to be given nothing more until it settles; meanwhile a bounded queue fills, then `resync`. */
export type LiveListener = (update: LiveUpdate) => void | Promise<void>

export interface CommandRequest {
  accountId: AccountId
  deviceId: DeviceId
  command: string
  arguments: unknown
  endpoint?: number | undefined
  /** 1 to 255 characters. The same key with the same request answers with the same command. */
  idempotencyKey?: string | undefined
}

/** Hands a command to the device's session. False: no session in that tenure takes it now. */
export type Deliver = (message: {
  deviceId: DeviceId
  tenureId: TenureId
  commandId: CommandId
  payload: Buffer
}) => boolean

/** What a household sees: live state, timeline, commands and their results. Everything is authorized at each call. */
export interface Home {
  start(): Promise<void>
  close(): Promise<void>
  /** @throws AppError not_found, integrity_failed */
  devices(accountId: AccountId, householdId: HouseholdId): Promise<DeviceView[]>
  /** @throws AppError not_found, integrity_failed */
  device(accountId: AccountId, deviceId: DeviceId): Promise<DeviceView>
  /**
   * Of the present tenure; `tenureId`: of this one only, for who reads many pages. `limit` 1 to 200.
   * @throws AppError not_found; stale_tenure when that one is over; invalid_request; integrity_failed
   */
  timeline(
    accountId: AccountId,
    deviceId: DeviceId,
    page: { before?: number | undefined; limit: number; tenureId?: TenureId | undefined },
  ): Promise<TimelinePage>
  /** Of a tenure that has ended and whose history was kept. @throws as `timeline` */
  pastTimeline(
    accountId: AccountId,
    tenureId: TenureId,
    page: { before?: number | undefined; limit: number },
  ): Promise<TimelinePage>
  /** Resolves to the way to stop. @throws AppError not_found */
  watch(accountId: AccountId, householdId: HouseholdId, listener: LiveListener): Promise<() => void>
  /**
   * @throws AppError not_found; command_refused when the model does not have it; conflict when the device is offline
   * and the model's policy is to refuse; idempotency_mismatch; rate_limited when too many are open for the device
   */
  requestCommand(request: CommandRequest): Promise<CommandView>
  /** @throws AppError not_found, integrity_failed */
  command(accountId: AccountId, commandId: CommandId): Promise<CommandView>
  /** The command once it has ended, or as it is when the time is up. @throws AppError not_found */
  waitForCommand(accountId: AccountId, commandId: CommandId, timeoutMs: number): Promise<CommandView>
  /** The device takes commands in this tenure now: what is queued for it is sent. */
  deviceReady(deviceId: DeviceId, tenureId: TenureId): void
  /** The device acknowledged receipt. */
  commandDelivered(commandId: CommandId, deviceId: DeviceId, tenureId: TenureId): void
  /** Expires what is due and checks the watchers again; called by the room's own timer, and by tests. */
  tick(): Promise<void>
  stats(): Record<string, number>
}
