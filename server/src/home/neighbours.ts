import {
  type Bus,
  type CommandId,
  type DeviceId,
  isId,
  type Log,
  type TenureId,
  type Tx,
} from '../core/index.ts'
import type { Announcements } from './announcements.ts'
import type { CommandStore } from './command-store.ts'
import type { Commands } from './commands.ts'
import type { Delivery } from './delivery.ts'
import type { CommandRow } from './tables.ts'
import type { Watchers } from './watchers.ts'

/** Records were applied. What is in the hint is not relied on: how far they go is read. */
const APPLIED = 'home.applied'
/** A command waits for a device that may be connected elsewhere: device and tenure. */
const QUEUED = 'home.queued'
/** A command went on: command, device, tenure, and whether it has ended. */
const COMMAND = 'home.command'

/** This room in the other processes on the same database. */
export interface Neighbours {
  start(): void
  close(): void
  /** Within the transaction that applies them. */
  applied(tx: Tx): Promise<void>
  /** Whichever process has the device sends it, after authorizing anew. */
  queued(row: CommandRow): Promise<void>
  /** After the commit of a command's transition. */
  changed(row: CommandRow): void
}

export interface NeighboursDependencies {
  bus: Bus
  store: CommandStore
  delivery: Delivery
  commands: Commands
  watchers: Watchers
  announcements: Announcements
  isHere: (deviceId: DeviceId) => boolean
  log: Log
}

export function createNeighbours(d: NeighboursDependencies): Neighbours {
  const { bus } = d
  let stopListening: (() => void)[] = []

  function heardQueued(payload: string): void {
    const [deviceId, tenureId] = idsOf<[DeviceId, TenureId]>(payload)
    if (deviceId && tenureId && d.isHere(deviceId)) d.delivery.queued(deviceId, tenureId)
  }

  function heardCommand(payload: string): void {
    const [commandId, deviceId, tenureId] = idsOf<[CommandId, DeviceId, TenureId]>(payload)
    if (!commandId || !deviceId || !tenureId) return
    if (payload.endsWith(' ended')) {
      d.delivery.forget({ command_id: commandId, device_id: deviceId })
      d.commands.wake(commandId)
    }
    d.announcements.commandElsewhere(tenureId, () => d.store.find(commandId))
  }

  /** What was missed: commands that wait for devices here, and all that people watch. */
  async function readAgain(): Promise<void> {
    d.announcements.startAnew()
    for (const { deviceId, tenureId } of await d.store.waiting())
      if (d.isHere(deviceId)) d.delivery.queued(deviceId, tenureId)
    await d.watchers.readAgain()
  }

  return {
    start() {
      stopListening = [
        bus.subscribe(APPLIED, ({ own }) => (own ? undefined : d.announcements.elsewhere())),
        bus.subscribe(QUEUED, ({ payload }) => heardQueued(payload)),
        bus.subscribe(COMMAND, ({ payload, own }) => (own ? undefined : heardCommand(payload))),
        bus.onGap(readAgain),
        bus.lease.onLapse(d.watchers.interrupt),
      ]
    },
    close() {
      for (const stop of stopListening) stop()
    },
    async applied(tx) {
      if (!bus.alone) await bus.publish(tx, APPLIED, '')
    },
    async queued(row) {
      await bus.publish(undefined, QUEUED, `${row.device_id} ${row.tenure_id}`)
    },
    changed(row) {
      if (bus.alone) return
      const end = row.due_ms === null ? ' ended' : ''
      bus
        .publish(undefined, COMMAND, `${row.command_id} ${row.device_id} ${row.tenure_id}${end}`)
        // Whoever waits for it looks by itself once a second.
        .catch((error: unknown) => d.log.warn('other processes were not told of a command', { error }))
    },
  }
}

function idsOf<Ids extends unknown[]>(payload: string): Ids | [] {
  const words = payload.split(' ').filter(isId)
  return words as unknown as Ids
}
