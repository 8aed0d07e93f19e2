import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bus, isId, type Log } from '../core/index.ts'
import type { ResetParts } from './reset-face.ts'
import type { ResetRows } from './reset-rows.ts'

const ASK = 'guard.ask'
const HERE = 'guard.here'
/** For an answer to cross the database twice. */
const ANSWER_MS = 300
const REPORT_MS = 500

/** The connections of all processes: how many there are, and what a reset has left of them. */
export interface ResetNodes {
  start(): void
  close(): Promise<void>
  open(): Promise<{ devices: number; streams: number }>
  /** Reports what this process still has to close, until that is nothing. */
  report(resetId: string): void
}

export function createResetNodes(o: {
  bus: Bus
  rows: ResetRows
  connections: ResetParts['connections']
  /** Within this time everything that was heard has taken effect, or the process refuses. */
  settleMs: number
  log: Log
}): ResetNodes {
  const { bus } = o
  const asking = new Map<string, (devices: number, streams: number) => void>()
  const reporting = new Map<string, Promise<void>>()
  const closing = new AbortController()
  let stopListening: (() => void)[] = []

  async function reportUntilClosed(resetId: string): Promise<void> {
    const beganMs = performance.now()
    const before = o.connections().closed
    for (;;) {
      const { waiting, closed } = o.connections()
      const settled = performance.now() - beganMs > o.settleMs
      await o.rows
        .report(resetId, bus.node, { waiting, closed: closed - before })
        .catch((error: unknown) => o.log.warn('how far a reset is could not be reported', { error }))
      if ((waiting === 0 && settled) || closing.signal.aborted) return
      await sleep(REPORT_MS, undefined, { signal: closing.signal }).catch(() => {})
    }
  }

  return {
    start() {
      stopListening = [
        bus.subscribe(ASK, ({ payload, own }) => {
          if (own || !isId(payload)) return
          const { devices, streams } = o.connections()
          bus.tell(HERE, `${payload} ${devices} ${streams}`)
        }),
        bus.subscribe(HERE, ({ payload, own }) => {
          const [question = '', devices, streams] = payload.split(' ')
          if (!own && isCount(devices) && isCount(streams))
            asking.get(question)?.(Number(devices), Number(streams))
        }),
      ]
    },
    async close() {
      for (const stop of stopListening) stop()
      closing.abort()
      await Promise.all(reporting.values())
    },
    async open() {
      const { devices, streams } = o.connections()
      const sum = { devices, streams }
      if (bus.alone) return sum
      const question = randomUUID()
      asking.set(question, (there, watching) => {
        sum.devices += there
        sum.streams += watching
      })
      bus.tell(ASK, question)
      await sleep(ANSWER_MS)
      asking.delete(question)
      return sum
    },
    report(resetId) {
      if (reporting.has(resetId) || closing.signal.aborted) return
      const done = reportUntilClosed(resetId).finally(() => reporting.delete(resetId))
      reporting.set(resetId, done)
    },
  }
}

function isCount(word: string | undefined): boolean {
  return word !== undefined && /^\d{1,9}$/.test(word)
}
