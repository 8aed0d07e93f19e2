import { randomUUID } from 'node:crypto'
import { type Bus, type DeviceId, isId } from '../core/index.ts'

const ASK = 'gateway.ask'
const HERE = 'gateway.here'
/** For an answer to cross the database twice; nobody answers for a device that is away. */
const ANSWER_MS = 300

/** Whether a device is connected: here, or to any other node. */
export interface Reach {
  isOnline(deviceId: DeviceId): Promise<boolean>
  close(): void
}

export function createReach({ bus, isHere }: { bus: Bus; isHere: (deviceId: DeviceId) => boolean }): Reach {
  const asking = new Map<string, () => void>()
  const stopListening = [
    bus.subscribe(ASK, ({ payload, own }) => {
      const [deviceId = '', question = ''] = payload.split(' ')
      if (!own && isId(deviceId) && isId(question) && bus.lease.holds() && isHere(deviceId as DeviceId))
        bus.tell(HERE, question)
    }),
    bus.subscribe(HERE, ({ payload }) => asking.get(payload)?.()),
  ]

  return {
    async isOnline(deviceId) {
      if (isHere(deviceId)) return true
      if (bus.alone) return false
      const question = randomUUID()
      const { promise, resolve } = Promise.withResolvers<boolean>()
      const late = setTimeout(() => resolve(false), ANSWER_MS)
      asking.set(question, () => resolve(true))
      bus.tell(ASK, `${deviceId} ${question}`)
      try {
        return await promise
      } finally {
        clearTimeout(late)
        asking.delete(question)
      }
    },
    close() {
      for (const stop of stopListening) stop()
    },
  }
}
