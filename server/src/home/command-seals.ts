import { AppError, type CommandId } from '../core/index.ts'
import { place, type SealingKey } from '../keys/index.ts'
import type { CommandView } from './face.ts'
import type { CommandRow } from './tables.ts'

/** What is sealed of a command. Each part is bound to the command's id and to its column. */
export interface CommandParts {
  request: {
    command: string
    endpoint?: number | undefined
    arguments: unknown
    requestedAtMs: number
    expiresAtMs: number
    /** What its sender must be allowed, now and when it is delivered. Absent in rows of earlier versions. */
    act?: 'control' | 'configure' | undefined
  }
  delivery: { atMs: number }
  outcome: { atMs: number; status?: string | undefined; response?: object | undefined }
}

export function sealPart<P extends keyof CommandParts>(
  key: SealingKey,
  part: P,
  commandId: CommandId,
  value: CommandParts[P],
): Buffer {
  return key.seal(place('home.command', part, commandId), paddedJson(value))
}

const STEP_BYTES = 256

/**
 * JSON of a length in steps, by the spaces that may end it: in a copy, "LockDoor" and "UnlockDoor" must not be told
 * apart by their lengths.
 */
export function paddedJson(value: unknown): string {
  const text = JSON.stringify(value)
  const missing = STEP_BYTES - (Buffer.byteLength(text) % STEP_BYTES)
  return text + ' '.repeat(missing % STEP_BYTES)
}

/** @throws AppError integrity_failed */
export function openPart<P extends keyof CommandParts>(
  key: SealingKey,
  part: P,
  row: CommandRow,
): CommandParts[P] {
  const sealed = row[part]
  if (!sealed) throw new AppError('integrity_failed', { detail: `a command has no ${part}` })
  return JSON.parse(key.unseal(place('home.command', part, row.command_id), sealed).toString('utf8'))
}

/** @throws AppError integrity_failed */
export function viewOf(key: SealingKey, row: CommandRow): CommandView {
  const request = openPart(key, 'request', row)
  const delivery = row.delivery ? openPart(key, 'delivery', row) : undefined
  const outcome = row.outcome ? openPart(key, 'outcome', row) : undefined
  return {
    commandId: row.command_id,
    deviceId: row.device_id,
    command: request.command,
    state: row.state,
    requestedAtMs: request.requestedAtMs,
    expiresAtMs: request.expiresAtMs,
    ...(delivery && { deliveredAtMs: delivery.atMs }),
    ...(outcome && { finishedAtMs: outcome.atMs }),
    ...(outcome?.status !== undefined && { status: outcome.status }),
    ...(outcome?.response !== undefined && { response: outcome.response }),
  }
}

/** What the device is sent. It holds the time after which it must not act any more. */
export function messageOf(key: SealingKey, row: CommandRow): Buffer {
  const { command, endpoint, arguments: args, expiresAtMs } = openPart(key, 'request', row)
  return Buffer.from(
    JSON.stringify({
      id: row.command_id,
      command,
      endpoint: endpoint ?? 1,
      arguments: args,
      expiresAt: new Date(expiresAtMs).toISOString(),
    }),
  )
}
