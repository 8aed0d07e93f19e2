import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  AppError,
  type Bus,
  type Database,
  type HouseholdId,
  type Log,
  type RecordAct,
  type TenureId,
  type Tx,
} from '../core/index.ts'
import type { Reset, ResetCounts, ResetParts, ResetRequest } from './reset-face.ts'
import { createResetNodes } from './reset-nodes.ts'
import { type Reach, reachOf } from './reset-reach.ts'
import { createResetRows } from './reset-rows.ts'

const LOOK_MS = 5_000
const PAUSE_MS = 250
/** As long as a lease. */
const SETTLE_MS = 3_000

/** Takes back what was written to be counted. */
class CountedOnly extends Error {}

/**
 * Everything re-keyed at once. One commit makes it void, in all rooms, by a row for each of them; all that is much (whom a
 * store's data is of, clearing away, closing connections) is before or after that commit, in steps, and goes on in
 * another process when the one that does it is gone.
 */
export function createReset(
  o: ResetParts & {
    database: Database
    bus: Bus
    log: Log
    recordAct: RecordAct
    settleMs?: number | undefined
    lookMs?: number | undefined
  },
): Reset {
  const { database, bus, signIns, devices } = o
  const rows = createResetRows({ database })
  const settleMs = o.settleMs ?? SETTLE_MS
  const nodes = createResetNodes({ bus, rows, connections: o.connections, settleMs, log: o.log })
  const closing = new AbortController()
  const working = new Map<string, Promise<void>>()
  let timer: NodeJS.Timeout | undefined
  let stopListening = () => {}

  /** Writes down whom it reaches, of one household or of some tenures' households. */
  async function stage(tx: Tx, resetId: string, householdIds: readonly HouseholdId[]): Promise<void> {
    await devices.stage(tx, resetId, householdIds)
    await signIns.stage(tx, resetId, await devices.peopleOf(tx, householdIds))
  }

  async function stageTouched(tx: Tx, resetId: string, tenureIds: readonly TenureId[]): Promise<void> {
    await stage(tx, resetId, await devices.householdsOf(tenureIds))
  }

  async function makeVoid(tx: Tx, resetId: string, request: ResetRequest, reach: Reach): Promise<void> {
    const { quietly } = request
    if (reach.signIns) await signIns.void(tx, { resetId, reach: reach.signIns, quietly })
    await devices.void(tx, { resetId, ...reach.devices })
  }

  async function record(tx: Tx, act: string, resetId: string, request: ResetRequest & { operator: string }) {
    const { scope, householdId, store, quietly, operator } = request
    await o.recordAct(tx, {
      actor: operator as Parameters<RecordAct>[1]['actor'],
      act,
      subject: { kind: 'reset', id: resetId },
      details: { scope, quietly, ...(householdId && { householdId }), ...(store && { store }) },
    })
  }

  async function count(
    tx: Tx,
    resetId: string,
    reach: Reach,
  ): Promise<Omit<ResetCounts, 'deviceConnections' | 'liveStreams'>> {
    const none = { accounts: 0, signIns: 0, codes: 0 }
    const people = reach.signIns ? await signIns.count({ reach: reach.signIns, resetId }, tx) : none
    const { codes: mailedCodes, ...others } = people
    return { ...others, mailedCodes, ...(await devices.count({ ...reach.devices, resetId }, tx)) }
  }

  function work(resetId: string): void {
    if (working.has(resetId) || closing.signal.aborted) return
    const done = workOn(resetId)
      .catch((error: unknown) =>
        o.log.warn('a reset could not go on; it is taken up again', { error, resetId }),
      )
      .finally(() => working.delete(resetId))
    working.set(resetId, done)
  }

  /** Whoever does this second does it again, and nothing of it does harm twice. */
  async function workOn(resetId: string): Promise<void> {
    const { state, ...request } = await rows.get(resetId)
    if (state === 'preparing' && request.store !== undefined) {
      for await (const tenureIds of o.touched(request.store)) {
        await database.transaction((tx) => stageTouched(tx, resetId, tenureIds))
        if (!(await mine(resetId))) return
      }
      await database.transaction(async (tx) => {
        if (!(await rows.madeVoid(tx, resetId))) return
        await makeVoid(tx, resetId, request, reachOf(request))
        await record(tx, 'reset.made_void', resetId, request)
      })
      await Promise.all([signIns.catchUp(), devices.catchUp()])
    }
    if (!request.quietly) {
      let after: Buffer | undefined
      do {
        const { removed, next } = await signIns.sweep(after)
        if (removed > 0) await rows.removed(resetId, removed)
        after = next
        if (!(await mine(resetId))) return
      } while (after)
    }
    // All processes have reported by then, and those that were gone had no connection any more.
    await pause(settleMs + 2 * PAUSE_MS)
    while ((await rows.get(resetId)).waitingConnections > 0) {
      await pause(PAUSE_MS)
      if (!(await mine(resetId))) return
    }
    if (!closing.signal.aborted) await rows.done(resetId)
  }

  async function mine(resetId: string): Promise<boolean> {
    return !closing.signal.aborted && (await rows.keep(resetId, bus.node))
  }

  async function pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: closing.signal }).catch(() => {})
  }

  async function adopt(): Promise<void> {
    try {
      for (const resetId of await rows.adopt(bus.node)) work(resetId)
    } catch (error) {
      o.log.warn('whether a reset waits for somebody could not be read', { error })
    }
  }

  return {
    async start() {
      nodes.start()
      stopListening = bus.subscribe('guard.reset', ({ payload }) => nodes.report(payload))
      await adopt()
      timer = setInterval(() => void adopt(), o.lookMs ?? LOOK_MS)
    },

    async close() {
      clearInterval(timer)
      stopListening()
      closing.abort()
      await nodes.close()
      await Promise.all(working.values())
    },

    async plan(request) {
      const reach = reachOf(request)
      const resetId = randomUUID()
      let counts: Awaited<ReturnType<typeof count>> | undefined
      await database
        .transaction(async (tx) => {
          if (request.householdId) await stage(tx, resetId, [request.householdId])
          if (request.store) {
            for await (const tenureIds of o.touched(request.store)) await stageTouched(tx, resetId, tenureIds)
          }
          counts = await count(tx, resetId, reach)
          throw new CountedOnly()
        })
        .catch((error: unknown) => {
          if (!(error instanceof CountedOnly)) throw error
        })
      const open = await nodes.open()
      if (!counts) throw new AppError('internal')
      return {
        ...counts,
        deviceConnections: reach.devices.devices ? open.devices : 0,
        liveStreams: reach.signIns ? open.streams : 0,
      }
    },

    async begin(request, operator) {
      const reach = reachOf(request)
      const resetId = randomUUID()
      // A slip in the store's name is told now.
      if (request.store) for await (const _some of o.touched(request.store)) break
      const by = { ...request, operator }
      await database.transaction(async (tx) => {
        const state = request.store === undefined ? 'void' : 'preparing'
        if (state === 'void') {
          if (request.householdId) await stage(tx, resetId, [request.householdId])
          await makeVoid(tx, resetId, request, reach)
        }
        await rows.add(tx, { ...by, resetId, state, worker: bus.node })
        await record(tx, state === 'void' ? 'reset.made_void' : 'reset.begun', resetId, by)
      })
      work(resetId)
      // Committed is committed: where this process cannot read it now, the lease and the hint see to it.
      await Promise.allSettled([signIns.catchUp(), devices.catchUp()])
      return await rows.get(resetId)
    },

    get: rows.get,
    list: rows.list,
  }
}
