import type { DeviceId, Secret } from '../core/index.ts'
import type { GatewayRegistry } from './face.ts'
import type { Line } from './lines.ts'
import { keyBytes } from './resends.ts'

/** A device's word that it was physically reset. */
export interface ResetMessage {
  deviceId: DeviceId
  messageId: string
  payload: Buffer
  paths: readonly string[]
  claimCode?: Secret | undefined
}

/**
 * The event belongs to the tenure in which it came, and is recorded in it before it may end it. A resend that comes in
 * a later tenure, when the first answer was lost, is known by its id: it is recorded nowhere and ends nothing.
 */
export async function takeReset(
  registry: Pick<GatewayRegistry, 'recordReset' | 'isResetKnown'>,
  { deviceId, messageId, payload, paths, claimCode }: ResetMessage,
  line: Line | undefined,
): Promise<void> {
  if (await registry.isResetKnown({ deviceId, messageId })) return
  if (line && !line.ended) await append(line, messageId, withoutCode(payload), paths)
  await registry.recordReset({ deviceId, tenure: line?.tenure, messageId, claimCode })
}

/** The code is for whoever has the device in hand: it stands in no history, not even sealed. */
function withoutCode(payload: Buffer): Buffer {
  const { $claimCode: _, ...kept } = JSON.parse(payload.toString('utf8')) as Record<string, unknown>
  return Buffer.from(JSON.stringify(kept))
}

/** Once, although the server may have stopped between the record and what follows from it. */
async function append(
  line: Line,
  messageId: string,
  payload: Buffer,
  paths: readonly string[],
): Promise<void> {
  const key = line.resends.keyOfMessageId(messageId)
  if (!line.resends.loaded) await line.resends.load()
  const earlier = line.resends.find(key)
  if (earlier === 'recorded') return
  const settled =
    earlier?.settled ?? line.writer.append({ kind: 'events', payload, paths, messageKey: keyBytes(key) })
  await settled
}
