import type { DeviceId } from '../core/index.ts'
import type { GatewayRegistry } from './face.ts'
import type { Line } from './lines.ts'
import { keyBytes } from './resends.ts'

/** A device's word that it was physically reset. */
export interface ResetMessage {
  deviceId: DeviceId
  messageId: string
  payload: Buffer
  paths: readonly string[]
}

/**
 * The event belongs to the tenure in which it came, and is recorded in it before it may end it. A resend that comes in
 * a later tenure, when the first answer was lost, is known by its id: it is recorded nowhere and ends nothing.
 */
export async function takeReset(
  registry: Pick<GatewayRegistry, 'recordReset' | 'isResetKnown'>,
  { deviceId, messageId, payload, paths }: ResetMessage,
  line: Line | undefined,
): Promise<void> {
  if (await registry.isResetKnown({ deviceId, messageId })) return
  if (line && !line.ended) await append(line, messageId, payload, paths)
  await registry.recordReset({ deviceId, tenure: line?.tenure, messageId })
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
