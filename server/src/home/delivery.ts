import {
  type Clock,
  type CommandId,
  type DeviceId,
  isAppError,
  type Log,
  type TenureId,
} from '../core/index.ts'
import type { Keys, SealingKey } from '../keys/index.ts'
import type { Registry } from '../registry/index.ts'
import { messageOf, openPart } from './command-seals.ts'
import type { CommandStore } from './command-store.ts'
import type { Deliver } from './face.ts'
import type { CommandRow } from './tables.ts'

/** Matter's status code for a requester without the right (Matter core specification, Interaction Model status codes). */
const NO_LONGER_ALLOWED = 'UNSUPPORTED_ACCESS'

/** How often the timer tries again for a device that is connected but did not take what waits for it. */
const ATTEMPTS = 5

export interface DeliveryDependencies {
  store: CommandStore
  keys: Pick<Keys, 'open'>
  registry: Pick<Registry, 'authorize'>
  clock: Clock
  log: Log
  deliver: Deliver
  changed: (row: CommandRow) => void
}

export type SendOutcome = 'sent' | 'ended' | 'not-taken'

export interface Delivery {
  /**
   * The first attempt, by the request itself. What the device does not take now waits for it, or is taken back:
   * `withdrawn`.
   */
  send(row: CommandRow, whenNotTaken: 'queue' | 'refuse'): Promise<SendOutcome | 'withdrawn'>
  ready(deviceId: DeviceId, tenureId: TenureId): void
  /** Something waits for a device that is connected here. */
  queued(deviceId: DeviceId, tenureId: TenureId): void
  acknowledged(commandId: CommandId, deviceId: DeviceId, tenureId: TenureId): void
  /** A command ended: it is not remembered as sent any more. */
  forget(row: Pick<CommandRow, 'command_id' | 'device_id'>): void
  /** The device's tenure is this one now, or none: what was sent in another one is not waited for. */
  leave(deviceId: DeviceId, now: TenureId | undefined): void
  retry(): void
  /** Settles when all that was begun is done. */
  idle(): Promise<void>
}

/** What one device is told and answers happens one after the other, whatever comes from several sides at once. */
interface Lane {
  tail: Promise<void>
  /** Sent in the present session and not acknowledged: not to be sent twice in one session. */
  sent: Map<CommandId, TenureId>
  jobs: number
}

export function createDelivery(d: DeliveryDependencies): Delivery {
  const lanes = new Map<DeviceId, Lane>()
  const again = new Map<DeviceId, { tenureId: TenureId; attempts: number }>()
  const unsaved = new Map<CommandId, { deviceId: DeviceId; tenureId: TenureId }>()

  function inLane<T>(deviceId: DeviceId, job: (lane: Lane) => Promise<T>): Promise<T> {
    let lane = lanes.get(deviceId)
    if (!lane) {
      lane = { tail: Promise.resolve(), sent: new Map(), jobs: 0 }
      lanes.set(deviceId, lane)
    }
    const own = lane
    own.jobs += 1
    const done = own.tail.then(() => job(own))
    own.tail = done.then(
      () => finish(deviceId, own),
      () => finish(deviceId, own),
    )
    return done
  }

  function finish(deviceId: DeviceId, lane: Lane): void {
    lane.jobs -= 1
    if (lane.jobs === 0 && lane.sent.size === 0) lanes.delete(deviceId)
  }

  /** Authorizes the requester at this moment, makes sure that the command is still to be sent, and hands it over. */
  async function attempt(lane: Lane, asked: CommandRow): Promise<SendOutcome> {
    const { command_id: id, tenure_id: tenureId } = asked
    if (lane.sent.has(id) || unsaved.has(id)) return 'ended'
    const sender = { accountId: asked.account_id, tenureId }
    let key: SealingKey
    try {
      await d.registry.authorize({ ...sender, act: 'control' })
      key = await d.keys.open(asked.key_id)
      const { act = 'configure' } = openPart(key, 'request', asked)
      if (act !== 'control') await d.registry.authorize({ ...sender, act })
    } catch (error) {
      if (!isAppError(error, 'not_found')) throw error
      const refused = await d.store.refuse(asked, NO_LONGER_ALLOWED, d.clock.nowMs())
      if (refused) d.changed(refused)
      return 'ended'
    }
    // After the authorization, and the last thing before it is sent: it may have ended since it was asked for.
    const row = await d.store.find(id)
    if (row?.state !== 'queued' || row.due_ms === null || row.due_ms <= d.clock.nowMs()) return 'ended'
    const message = { deviceId: row.device_id, tenureId, commandId: id, payload: messageOf(key, row) }
    // Before the call: the acknowledgement may come from within it.
    lane.sent.set(id, tenureId)
    if (d.deliver(message)) return 'sent'
    lane.sent.delete(id)
    return 'not-taken'
  }

  async function sendQueued(lane: Lane, deviceId: DeviceId, tenureId: TenureId): Promise<void> {
    const earlier = again.get(deviceId)
    again.delete(deviceId)
    const tryLater = () => {
      const attempts = (earlier?.tenureId === tenureId ? earlier.attempts : 0) + 1
      if (attempts < ATTEMPTS) again.set(deviceId, { tenureId, attempts })
    }
    try {
      for (const row of await d.store.queued(deviceId, d.clock.nowMs())) {
        // In order: what the device does not take now is not overtaken by what comes after.
        if ((await attempt(lane, row)) === 'not-taken') return tryLater()
      }
    } catch (error) {
      d.log.warn('waiting commands could not be sent; they are tried again', { error, deviceId })
      tryLater()
    }
  }

  async function saveAcknowledgement(
    lane: Lane,
    commandId: CommandId,
    deviceId: DeviceId,
    tenureId: TenureId,
  ): Promise<void> {
    try {
      const row = await d.store.deliver(commandId, deviceId, tenureId, d.clock.nowMs())
      unsaved.delete(commandId)
      lane.sent.delete(commandId)
      if (row) d.changed(row)
    } catch (error) {
      // Kept, so that the command is not sent a second time, and written by the timer.
      unsaved.set(commandId, { deviceId, tenureId })
      d.log.warn('a delivery could not be written; it is tried again', { error, commandId })
    }
  }

  const acknowledged: Delivery['acknowledged'] = (commandId, deviceId, tenureId) => {
    void inLane(deviceId, (lane) => saveAcknowledgement(lane, commandId, deviceId, tenureId))
  }

  return {
    send: (row, whenNotTaken) =>
      inLane(row.device_id, async (lane) => {
        const later = { tenureId: row.tenure_id, attempts: 0 }
        try {
          const outcome = await attempt(lane, row)
          if (outcome !== 'not-taken') return outcome
          if (whenNotTaken === 'refuse' && (await d.store.withdraw(row))) return 'withdrawn'
          again.set(row.device_id, later)
          return outcome
        } catch (error) {
          if (whenNotTaken === 'refuse' && !lane.sent.has(row.command_id)) await d.store.withdraw(row)
          else again.set(row.device_id, later)
          throw error
        }
      }),
    ready(deviceId, tenureId) {
      // At once: what is sent from here on goes to the new session, also by what is in the lane already.
      lanes.get(deviceId)?.sent.clear()
      again.delete(deviceId)
      void inLane(deviceId, (lane) => sendQueued(lane, deviceId, tenureId))
    },
    queued(deviceId, tenureId) {
      void inLane(deviceId, (lane) => sendQueued(lane, deviceId, tenureId))
    },
    acknowledged,
    forget(row) {
      const lane = lanes.get(row.device_id)
      lane?.sent.delete(row.command_id)
      if (lane && lane.jobs === 0 && lane.sent.size === 0) lanes.delete(row.device_id)
    },
    leave(deviceId, now) {
      if (again.get(deviceId)?.tenureId !== now) again.delete(deviceId)
      const lane = lanes.get(deviceId)
      if (!lane) return
      for (const [commandId, tenureId] of lane.sent) if (tenureId !== now) lane.sent.delete(commandId)
      if (lane.jobs === 0 && lane.sent.size === 0) lanes.delete(deviceId)
    },
    retry() {
      for (const [commandId, { deviceId, tenureId }] of unsaved) acknowledged(commandId, deviceId, tenureId)
      for (const [deviceId, { tenureId }] of again) {
        void inLane(deviceId, (lane) => sendQueued(lane, deviceId, tenureId))
      }
    },
    async idle() {
      await Promise.all([...lanes.values()].map((lane) => lane.tail))
    },
  }
}
