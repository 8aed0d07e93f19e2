import { randomUUID } from 'node:crypto'
import {
  type AccountId,
  AppError,
  type Clock,
  type CommandId,
  type DeviceId,
  isAppError,
  newId,
} from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { Act, HeldDevice, Registry } from '../registry/index.ts'
import { viewOf } from './command-seals.ts'
import type { CommandStore } from './command-store.ts'
import { redactedAnswer } from './content.ts'
import type { Delivery } from './delivery.ts'
import type { CommandRequest, CommandView, Home } from './face.ts'
import type { CommandRow } from './tables.ts'

const MAX_ARGUMENTS_BYTES = 16 << 10
/** A waiter is woken by what happens in this process; what happens in another one is seen at this interval. */
const WAIT_POLL_MS = 1_000

export interface CommandsDependencies {
  store: CommandStore
  delivery: Delivery
  keys: Pick<Keys, 'open' | 'purpose'>
  registry: Pick<Registry, 'authorize' | 'device'>
  clock: Clock
  isOnline: (deviceId: DeviceId) => boolean | Promise<boolean>
  /** Connected to another process: it is told of the row, and sends it. False: it is to be sent from here. */
  sendElsewhere: (row: CommandRow) => Promise<boolean>
  maxOpen: number
  changed: (row: CommandRow) => void
}

export interface Commands extends Pick<Home, 'requestCommand' | 'command' | 'waitForCommand'> {
  /** Wakes who waits for the end of the command. */
  wake(commandId: CommandId): void
  /** Wakes who waits for a command of the device: a tenure that ended answers nobody. */
  wakeDevice(deviceId: DeviceId): void
  close(): void
}

export function createCommands(d: CommandsDependencies): Commands {
  const waiting = new Map<CommandId, Set<() => void>>()
  const waitingFor = new Map<CommandId, DeviceId>()
  let closed = false

  const view = async (row: CommandRow) => viewOf(await d.keys.open(row.key_id), row)

  /** An idempotency key holds for one account and one device (in one tenure): nobody meets another one's command. */
  function idempotencyDigests(request: CommandRequest, held: HeldDevice): Buffer[] {
    const { accountId, idempotencyKey } = request
    if (idempotencyKey === undefined) return []
    if (idempotencyKey.length < 1 || idempotencyKey.length > 255) {
      throw new AppError('invalid_request', { message: 'An idempotency key has 1 to 255 characters.' })
    }
    const value = JSON.stringify([accountId, held.tenureId, idempotencyKey])
    return d.keys.purpose('home.idempotency').digests(value)
  }

  async function replay(earlier: CommandRow, requestDigests: readonly Buffer[]): Promise<CommandView> {
    if (!requestDigests.some((digest) => digest.equals(earlier.request_digest))) {
      throw new AppError('idempotency_mismatch')
    }
    return view(await fresh(earlier))
  }

  /** The row, ended if its time is up: nobody reads an open command that is no longer sent or awaited. */
  async function fresh(row: CommandRow): Promise<CommandRow> {
    if (row.due_ms === null || row.due_ms > d.clock.nowMs()) return row
    for (const ended of await d.store.expire(d.clock.nowMs(), row.command_id)) d.changed(ended)
    return (await d.store.find(row.command_id)) ?? row
  }

  async function requestCommand(request: CommandRequest): Promise<CommandView> {
    const { accountId, deviceId, command, endpoint } = request
    const args = request.arguments ?? {}
    const held = await d.registry.device(accountId, deviceId, 'control')
    const checked = held.model.checkCommand(command, args, endpoint)
    if (!checked.ok) throw new AppError('command_refused', { message: refusal(checked.reason) })
    const { act } = checked
    if (act !== 'control') await requireMore(accountId, held, { command, act })
    const canonical = canonicalJson(args)
    if (Buffer.byteLength(canonical) > MAX_ARGUMENTS_BYTES) throw new AppError('too_large')

    const digests = idempotencyDigests(request, held)
    // Compared only under one idempotency key. With it, or a random value, inside, equal commands have unequal digests
    // in a copy.
    const salt = request.idempotencyKey ?? randomUUID()
    const requestDigests = d.keys
      .purpose('home.command.request')
      .digests(JSON.stringify([accountId, held.tenureId, salt, command, endpoint ?? 1, canonical]))
    const earlier = digests.length > 0 ? await d.store.findByKey(digests) : undefined
    if (earlier) return replay(earlier, requestDigests)

    const { whenOffline, expiresSeconds } = checked.policy
    if (whenOffline === 'refuse' && !(await d.isOnline(deviceId))) throw offline()
    const key = await d.keys.open(held.keyId)
    const nowMs = d.clock.nowMs()
    const expiresAtMs = nowMs + expiresSeconds * 1_000
    const { row, created } = await d.store.insert(
      key,
      {
        command_id: newId<CommandId>(),
        tenure_id: held.tenureId,
        device_id: deviceId,
        key_id: held.keyId,
        account_id: accountId,
        due_ms: expiresAtMs,
        idempotency_key: digests[0] ?? null,
        request_digest: requestDigests[0] as Buffer,
        parts: { command, endpoint, arguments: args, requestedAtMs: nowMs, expiresAtMs, act },
      },
      digests,
      { maxOpen: d.maxOpen, nowMs },
    )
    if (!created) return replay(row, requestDigests)
    const outcome = (await d.sendElsewhere(row)) ? 'not-taken' : await d.delivery.send(row, whenOffline)
    if (outcome === 'withdrawn') throw offline()
    if (outcome === 'ended') return view((await d.store.find(row.command_id)) ?? row)
    // What the device says of it comes after this turn: people see it queued first.
    d.changed(row)
    return view(row)
  }

  /** Whoever may use a lock for an afternoon gives nobody, and not themselves, a PIN code that stays. */
  async function requireMore(
    accountId: AccountId,
    { tenureId }: HeldDevice,
    { command, act }: { command: string; act: Act },
  ): Promise<void> {
    try {
      await d.registry.authorize({ accountId, tenureId, act })
    } catch (error) {
      if (!isAppError(error, 'not_found')) throw error
      // That there is the device is known to whoever may control it.
      const message = `${command} changes who or what the device obeys: owners and adults of the household send it.`
      throw new AppError('command_refused', { message })
    }
  }

  async function command(...[accountId, commandId]: Parameters<Home['command']>): Promise<CommandView> {
    const row = await d.store.find(commandId)
    if (!row) throw new AppError('not_found')
    const { seesFromMs } = await d.registry.authorize({ accountId, tenureId: row.tenure_id, act: 'view' })
    const whole = await view(await fresh(row))
    if (row.account_id === accountId) return whole
    if (whole.requestedAtMs < seesFromMs) throw new AppError('not_found')
    if (whole.response === undefined) return whole
    const { model } = await d.registry.device(accountId, row.device_id)
    return redactedAnswer(model, whole.command, whole)
  }

  return {
    requestCommand,
    command,
    async waitForCommand(accountId, commandId, timeoutMs) {
      const endMs = performance.now() + timeoutMs
      for (;;) {
        const woken = listen(commandId)
        try {
          const now = await command(accountId, commandId)
          waitingFor.set(commandId, now.deviceId)
          const leftMs = endMs - performance.now()
          if ((now.state !== 'queued' && now.state !== 'delivered') || leftMs <= 0 || closed) return now
          await woken.within(Math.min(leftMs, WAIT_POLL_MS))
        } finally {
          woken.stop()
        }
      }
    },
    wake(commandId) {
      for (const wake of waiting.get(commandId) ?? []) wake()
    },
    wakeDevice(deviceId) {
      for (const [commandId, wakes] of waiting) {
        if (waitingFor.get(commandId) === deviceId) for (const wake of wakes) wake()
      }
    },
    close() {
      closed = true
      for (const wakes of waiting.values()) for (const wake of wakes) wake()
    },
  }

  /** Listens before the row is read, so that what happens in between is not missed. */
  function listen(commandId: CommandId) {
    const { promise, resolve } = Promise.withResolvers<void>()
    const wakes = waiting.get(commandId) ?? new Set()
    wakes.add(resolve)
    waiting.set(commandId, wakes)
    return {
      async within(ms: number) {
        const timer = setTimeout(resolve, ms)
        await promise
        clearTimeout(timer)
      },
      stop() {
        wakes.delete(resolve)
        if (wakes.size > 0 || waiting.get(commandId) !== wakes) return
        waiting.delete(commandId)
        waitingFor.delete(commandId)
      },
    }
  }
}

function refusal(reason: string): string {
  return `The device does not take this command: ${reason}`
}

function offline(): AppError {
  return new AppError('conflict', { message: 'The device is offline.' })
}

/** The same for equal values whatever the order of members. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  )
}
