import {
  type AccountId,
  type Act,
  AppError,
  type Bus,
  type Clock,
  type CopyId,
  type Database,
  isAppError,
  isId,
  type Log,
  newId,
  type RecordAct,
  recordNothing,
  type Tx,
} from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { Registry } from '../registry/index.ts'
import type { Stream } from '../stream/index.ts'
import { createBurning } from './burning.ts'
import type { Catalogue } from './catalogue.ts'
import { createCopyStore, type StoredCopy } from './copy-store.ts'
import { publicAddress } from './destinations/address.ts'
import { createDestinations } from './destinations/destinations.ts'
import { type AskAsStranger, createStranger } from './destinations/stranger.ts'
import type { Copy, Insight } from './face.ts'
import { createFeeds, STOP } from './feeds.ts'
import { type ConnectionCounts, createFiller, DELIVERY_MS, isOpenDestination } from './filler.ts'
import { createLedger } from './ledger.ts'
import { answerOf, metricOf, requireFields } from './metrics/answer.ts'
import { metrics } from './metrics/definitions.ts'
import { createRecognition } from './recognition.ts'
import { termsOf } from './terms.ts'

export interface InsightOptions {
  database: Database
  keys: Keys
  registry: Pick<Registry, 'tenures'>
  stream: Pick<Stream, 'read' | 'head'>
  connections: ConnectionCounts
  catalogue: () => Promise<Catalogue>
  clock: Clock
  log: Log
  bus?: Pick<Bus, 'subscribe' | 'tell'> | undefined
  recordAct?: RecordAct | undefined
  /** The longest that a copy may live. */
  maxDays: number
  /** Where files of copies lie; none can be made without it. */
  directory?: string | undefined
  /** How a destination is asked whether it lets strangers read: by a probe, unless said. */
  ask?: AskAsStranger | undefined
}

const TICK_MS = 1_000
/** How many copies are filled at once by one process: each holds a connection to the database meanwhile. */
const AT_ONCE = 3
const RETRY_FIRST_MS = 1_000
const RETRY_LAST_MS = 60_000

/** Copies for analysts: made, filled from the stream, asked, and ended. */
export function createInsight(options: InsightOptions): Insight {
  const { database, keys, stream, clock, bus, recordAct = recordNothing } = options
  const log = options.log.child({ room: 'insight' })
  const store = createCopyStore({ database, keys })
  const ledger = createLedger({ database, keys })
  const destinations = createDestinations({
    ask: options.ask ?? createStranger({ clock }),
    directory: options.directory,
  })
  const filler = createFiller({ ...options, log, store, ledger, destinations })
  const feeds = createFeeds({ store, filler, bus })
  const burning = createBurning({ database, keys, store, destinations, clock, log })
  const waiting = new Map<CopyId, { untilMs: number; pauseMs: number }>()
  let timer: NodeJS.Timeout | undefined
  let ticking: Promise<void> | undefined
  let closing = false
  let stopListening: (() => void)[] = []

  /** Batches until there is nothing left, or something is in the way. */
  async function fill(copyId: CopyId): Promise<void> {
    const wait = waiting.get(copyId)
    if (wait && wait.untilMs > clock.nowMs()) return
    try {
      while (!closing && (await filler.step(copyId)));
      waiting.delete(copyId)
    } catch (error) {
      await destinations.forget(copyId)
      const pauseMs = Math.min(wait ? wait.pauseMs * 2 : RETRY_FIRST_MS, RETRY_LAST_MS)
      waiting.set(copyId, { untilMs: clock.nowMs() + pauseMs, pauseMs })
      if (isAppError(error, 'not_found')) return
      const problem = isAppError(error) ? error.code : 'unavailable'
      log.warn('a copy could not be filled; it will be tried again', { error, copyId, problem })
      if (isOpenDestination(error)) await cutOpen(copyId)
      else await store.update(database.queries, copyId, { problem })
    }
  }

  /** Found here, before the guard did: nothing more leaves, and an operator has to say when it may again. */
  async function cutOpen(copyId: CopyId): Promise<void> {
    log.error('the destination of a copy lets strangers read; its feed is cut', { copyId })
    await database.transaction(async (tx) => {
      await feeds.cut(tx, copyId, 'open to strangers')
      await record(tx, copyId, 'system', 'cut')
    })
  }

  /** Last in the transaction: all acts wait for each other from there on. */
  async function record(
    tx: Tx,
    copyId: CopyId,
    actor: AccountId | 'system',
    what: string,
    details?: Act['details'],
  ) {
    await recordAct(tx, {
      actor,
      act: `copies.${what}`,
      subject: { kind: 'copy', id: copyId },
      ...(details && { details }),
    })
  }

  async function tick(): Promise<void> {
    for (const copy of await burning.due()) {
      if (copy.state !== 'burning') await begin(copy.copy_id, 'system')
      await burning.finish(copy.copy_id)
    }
    const filling = (await store.all()).filter(({ state }) => state === 'filling')
    const next = filling.values()
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (const { copy_id } of next) await fill(copy_id)
      }),
    )
  }

  async function begin(copyId: CopyId, by: AccountId | 'system'): Promise<void> {
    await database.transaction(async (tx) => {
      const copy = await feeds.lockNow(tx, copyId)
      if (copy.state === 'burning' || copy.state === 'burned') return
      await burning.begin(tx, copy)
      await record(tx, copyId, by, 'burned')
    })
  }

  async function change(
    copyId: CopyId,
    by: AccountId,
    { from, to, what }: { from: Copy['state']; to: Copy['state']; what: string },
  ): Promise<void> {
    await database.transaction(async (tx) => {
      const { state } = await feeds.lockNow(tx, copyId)
      if (state !== from) throw new AppError('conflict', { message: `This copy is ${state}, not ${from}.` })
      await store.update(tx, copyId, { state: to })
      await record(tx, copyId, by, what)
    })
  }

  return {
    async start() {
      stopListening = [
        bus?.subscribe(STOP, ({ payload }) => {
          if (isId(payload)) filler.stop(payload as CopyId)
        }) ?? (() => {}),
        // It may be somewhere else by now, or no more.
        bus?.subscribe('insight.copy', ({ payload }) => {
          waiting.delete(payload as CopyId)
        }) ?? (() => {}),
      ]
      timer = setInterval(() => {
        ticking ??= tick()
          .catch((error: unknown) => log.warn('the timer failed; it runs again', { error }))
          .finally(() => {
            ticking = undefined
          })
      }, TICK_MS)
    },

    async close() {
      closing = true
      clearInterval(timer)
      for (const stop of stopListening) stop()
      await ticking
      await destinations.close()
    },

    catalogue: options.catalogue,

    async create(wish) {
      const nowMs = clock.nowMs()
      const open = termsOf(wish, { catalogue: await options.catalogue(), maxDays: options.maxDays, nowMs })
      const copyId = newId<CopyId>()
      const seq = wish.from === 'now' ? await stream.head() : 0
      const connection_seq = wish.from === 'now' ? await options.connections.head() : 0
      const row = {
        copy_id: copyId,
        name: wish.name,
        state: 'filling' as const,
        seq,
        connection_seq,
        pending_seq: null,
        pending_connection_seq: null,
        problem: null,
      }
      try {
        await database.transaction(async (tx) => {
          const key_id = await keys.create(tx, { kind: 'copy', subject: copyId })
          await store.insert(tx, { ...row, key_id, open })
          const destination = destinations.of(await store.find(copyId, tx))
          const signal = AbortSignal.timeout(2 * DELIVERY_MS)
          await destination.check(signal)
          await destination.prepare(signal)
          await record(tx, copyId, wish.owner, 'made', {
            name: wish.name,
            fields: open.fields,
            destination: publicAddress(open.destination) ?? 'file',
          })
        })
      } catch (error) {
        await destinations.forget(copyId)
        if ((error as { code?: string }).code !== '23505') throw error
        throw new AppError('conflict', { message: 'There is a copy of this name.' })
      }
      return store.view(await store.find(copyId), await stream.head())
    },

    async copies(all = false) {
      const head = await stream.head()
      return (await store.all())
        .filter(({ state }) => all || state !== 'burned')
        .map((copy) => store.view(copy, head))
    },

    copy: async (nameOrId) => store.view(await store.find(nameOrId), await stream.head()),
    pause: (copyId, by) => change(copyId, by, { from: 'filling', to: 'paused', what: 'paused' }),
    resume: (copyId, by) => change(copyId, by, { from: 'paused', to: 'filling', what: 'resumed' }),

    async reopen(copyId, by) {
      await database.transaction(async (tx) => {
        await feeds.resume(tx, copyId)
        await record(tx, copyId, by, 'reopened')
      })
    },

    async burn(copyId, by) {
      await begin(copyId, by)
      await burning.finish(copyId)
    },

    metrics,

    async metric(nameOrId, name) {
      const metric = metricOf(name)
      const copy: StoredCopy = await store.find(nameOrId)
      if (copy.state === 'burning' || copy.state === 'burned') throw new AppError('not_found')
      requireFields(metric, copy.open.fields)
      return answerOf(metric, await destinations.of(copy).query(metric.sql), copy.open.minGroup)
    },

    recognise: createRecognition({ store, clock }),
    feeds,
    ledger,
    tick,
    stats: () => filler.stats(),
  }
}
