import { randomInt } from 'node:crypto'
import type { Clock, DeviceId, Door, Log, PresentedInVain } from '../core/index.ts'
import { type CanaryMarks, DEVICES_A_DAY, type MarkedStore } from './canary-marks.ts'
import type { FindingDesk } from './findings.ts'

/** What stands in one store only was presented somewhere: somebody has that store. */
export interface Sighting {
  storeKey: string
  name: string
  plantedAtMs: number
}

export interface Canaries {
  readonly presented: PresentedInVain
  /** Of the database: ids of devices that nobody makes. */
  readonly devices: {
    newId(): DeviceId
    isOne(deviceId: DeviceId): boolean
    /** All that can have been planted since. */
    since(fromMs: number): DeviceId[]
  }
  /** Waits for what is being written down. */
  close(): Promise<void>
  stats(): Record<string, number>
}

const NAMES: Record<MarkedStore, string> = { database: 'the database', files: 'the data directory' }
/** What a door hands over is bounded there; should it not be, here. */
const MAX_TEXTS = 16
/** A finding is one until it is closed: that somebody tries a thousand times need not be asked a thousand times. */
const SAY_AGAIN_MS = 10_000
const PSEUDONYM = /^[\w-]{22}$/

export function createCanaries(o: {
  marks: CanaryMarks
  findings: Pick<FindingDesk, 'raise'>
  /** Whether a text of a pseudonym's form is one of a copy's. */
  recogniseCopy?: ((text: string) => Promise<Sighting | undefined>) | undefined
  clock: Clock
  log: Log
}): Canaries {
  const { marks, clock, log } = o
  const said = new Map<string, number>()
  const underWay = new Set<Promise<void>>()
  let seen = 0

  function startLater(work: () => Promise<void>): void {
    const done: Promise<void> = new Promise((resolve) => setImmediate(resolve))
      .then(work)
      .catch((error) => log.error('the use of a canary could not be written down', { error }))
      .finally(() => underWay.delete(done))
    underWay.add(done)
  }

  async function tell(door: Door, { storeKey, name, plantedAtMs }: Sighting): Promise<void> {
    seen += 1
    const nowMs = clock.nowMs()
    if ((said.get(storeKey) ?? Number.NEGATIVE_INFINITY) > nowMs - SAY_AGAIN_MS) return
    said.set(storeKey, nowMs)
    const planted = new Date(plantedAtMs).toISOString().slice(0, 10)
    try {
      await o.findings.raise({
        kind: 'canary',
        storeKey,
        name,
        address: 'this installation',
        evidence: `what stands nowhere else was tried at ${door}; planted on ${planted}`,
      })
    } catch (error) {
      said.delete(storeKey)
      throw error
    }
  }

  return {
    presented(door, texts) {
      for (const text of texts.slice(0, MAX_TEXTS)) {
        if (text === undefined || text === '') continue
        const mark = marks.recognise(text)
        if (mark) {
          const { store, atMs } = mark
          const sighting = { storeKey: `own:canary-${store}`, name: NAMES[store], plantedAtMs: atMs }
          startLater(() => tell(door, sighting))
        } else if (o.recogniseCopy && PSEUDONYM.test(text)) {
          const { recogniseCopy } = o
          startLater(async () => {
            const sighting = await recogniseCopy(text)
            if (sighting) await tell(door, sighting)
          })
        }
      }
    },
    devices: {
      newId: () => marks.deviceId({ store: 'database', atMs: clock.nowMs() }, randomInt(DEVICES_A_DAY)),
      isOne: (deviceId) => marks.recognise(deviceId) !== undefined,
      since: (fromMs) => marks.deviceIds('database', { fromMs, toMs: clock.nowMs() }),
    },
    async close() {
      await Promise.all(underWay)
    },
    stats: () => ({ guard_canary_uses_total: seen }),
  }
}
