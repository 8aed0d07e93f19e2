import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import pg from 'pg'
import type { Database, Tx } from './database.ts'
import { AppError } from './errors.ts'
import { createLease, type Lease, type LeaseClock, leaseClock } from './lease.ts'
import type { Log } from './log.ts'

/** What came over the bus. Anybody who may write to the database can send one: a reason to look, never a fact. */
export interface Hint {
  payload: string
  /** This process sent it. */
  own: boolean
}

/**
 * Takes effect of a hint: reads the database again. The lease is not renewed before it has resolved; when it rejects,
 * everything is read again as after a gap.
 */
export type HintListener = (hint: Hint) => void | Promise<void>

/**
 * Hints between the processes that share one database, and the proof that this process hears them.
 *
 * PostgreSQL keeps one queue of notifications in the order of commits (LISTEN, NOTIFY). A heartbeat that this process
 * sends and gets back therefore proves that it has heard everything that was committed before it was sent.
 */
export interface Bus {
  /** Resolves when this process hears. @throws AppError unavailable */
  start(): Promise<void>
  close(): Promise<void>
  /** Random, new at each start of a process. */
  readonly node: string
  readonly lease: Lease
  /**
   * With `tx`: heard exactly when it commits, and never if it does not. Own listeners hear it, too.
   * @param topic `[a-z.]`, 1..40
   * @param payload opaque ids and numbers only: it passes through the database in the clear. At most 400 characters.
   */
  publish(tx: Tx | undefined, topic: string, payload: string): Promise<void>
  /** The same for questions: at once, over the connection that listens, and lost where that is broken. */
  tell(topic: string, payload: string): void
  subscribe(topic: string, listener: HintListener): () => void
  /**
   * Hints may have been lost. Reads again whatever they could have told of; the lease waits for it.
   */
  onGap(readAgain: () => Promise<void>): () => void
  /** Whether that process was heard within the last `withinMs`. */
  heard(node: string, withinMs: number): boolean
  /** No other process has been heard of for a while: what only others need to hear need not be sent. */
  readonly alone: boolean
  stats(): Record<string, number>
}

export interface BusOptions {
  database: Database
  log: Log
  beatMs?: number | undefined
  leaseMs?: number | undefined
  /** Milliseconds that pass, whatever the time of day is. */
  monotonicMs?: LeaseClock | undefined
}

const CHANNEL = 'hearthlock_bus'
const TOPIC = /^[a-z.]{1,40}$/
const PAYLOAD = /^[\x20-\x7e]{0,400}$/
/** `-` is a sender of its own: the database's triggers. */
const MESSAGE = /^([0-9a-f-]{1,36}) ([a-z.]{1,40}) ([\x20-\x7e]{0,400})$/
const BEAT = 'bus.beat'
const RETRY_FIRST_MS = 50
const RETRY_LAST_MS = 1_000
/** Bounds what forged heartbeats can make grow. */
const MAX_PEERS = 1_000
const FORGET_PEERS_MS = 600_000

export function createBus(options: BusOptions): Bus {
  const { database, log, beatMs = 1_000, leaseMs = 3_000, monotonicMs = leaseClock() } = options
  const node = randomUUID()
  const lease = createLease({ leaseMs, monotonicMs, log })
  const listeners = new Map<string, Set<HintListener>>()
  const rereads = new Set<() => Promise<void>>()
  const applying = new Set<Promise<void>>()
  const peers = new Map<string, number>()
  const closing = new AbortController()
  const counts = { heard: 0, ignored: 0, gaps: 0, reconnects: 0 }
  let client: pg.Client | undefined
  let connecting: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let beats = 0
  let sent: { beat: number; atMs: number } | undefined
  let listeningSinceMs = 0
  // Gaps that have opened, and the last one after which everything was read again.
  let gap = 0
  let readUpTo = 0
  let reading: Promise<void> | undefined

  async function connect(): Promise<void> {
    const { options: pool } = database.pool
    // The pool hides its password from enumeration, so a spread alone would lose it.
    const fresh = new pg.Client({
      ...pool,
      password: pool.password,
      application_name: 'hearthlock-bus',
      connectionTimeoutMillis: leaseMs,
      keepAlive: true,
    })
    fresh.on('error', (error) => lose(fresh, error))
    fresh.on('end', () => lose(fresh))
    fresh.on('notification', ({ payload = '' }) => {
      if (client === fresh) hear(payload)
    })
    try {
      await within(leaseMs, fresh.connect())
      await within(leaseMs, fresh.query(`listen ${CHANNEL}`))
      if (closing.signal.aborted) throw new AppError('unavailable', { detail: 'the bus is closing' })
    } catch (error) {
      void fresh.end().catch(() => {})
      throw error
    }
    client = fresh
    sent = undefined
    gap += 1
    counts.gaps += 1
    listeningSinceMs = monotonicMs()
    beat()
  }

  function lose(lost: pg.Client, error?: unknown): void {
    if (client !== lost) return
    client = undefined
    void lost.end().catch(() => {})
    if (closing.signal.aborted) return
    log.warn('the connection that hears of changes broke', { error })
    connecting ??= reconnect().finally(() => {
      connecting = undefined
    })
  }

  async function reconnect(): Promise<void> {
    for (let pauseMs = RETRY_FIRST_MS; !closing.signal.aborted; ) {
      try {
        await connect()
        counts.reconnects += 1
        return
      } catch (error) {
        if (closing.signal.aborted) return
        log.warn('the bus could not reach PostgreSQL', { error, retryAfterMs: pauseMs })
        await sleep(pauseMs, undefined, { signal: closing.signal }).catch(() => {})
        pauseMs = Math.min(pauseMs * 2, RETRY_LAST_MS)
      }
    }
  }

  /** One at a time: a connection that does not give it back within the lease is given up. */
  function beat(): void {
    const current = client
    if (!current) return
    const nowMs = monotonicMs()
    if (sent) {
      if (nowMs - sent.atMs >= leaseMs) lose(current, new Error('no answer in time'))
      return
    }
    beats += 1
    sent = { beat: beats, atMs: nowMs }
    current
      .query('select pg_notify($1, $2)', [CHANNEL, `${node} ${BEAT} ${beats}`])
      .catch((error: unknown) => lose(current, error))
  }

  function hear(message: string): void {
    const [, sender, topic, payload] = MESSAGE.exec(message) ?? []
    if (sender === undefined || topic === undefined || payload === undefined) {
      counts.ignored += 1
      return
    }
    counts.heard += 1
    if (topic === BEAT) {
      heardBeat(sender, payload)
      return
    }
    for (const listener of listeners.get(topic) ?? []) apply(listener, { payload, own: sender === node })
  }

  function apply(listener: HintListener, hint: Hint): void {
    const done = (async () => listener(hint))().catch((error: unknown) => {
      gap += 1
      counts.gaps += 1
      log.warn('a hint could not be followed; everything is read again', { error })
    })
    applying.add(done)
    void done.finally(() => applying.delete(done))
  }

  function remember(peer: string): void {
    const nowMs = monotonicMs()
    for (const [other, atMs] of peers) if (nowMs - atMs > FORGET_PEERS_MS) peers.delete(other)
    if (peers.has(peer) || peers.size < MAX_PEERS) peers.set(peer, nowMs)
  }

  function heardBeat(sender: string, payload: string): void {
    if (sender !== node) {
      // Whoever is new learns of us at once.
      if (!peers.has(sender)) void publish(undefined, BEAT, '0').catch(() => {})
      remember(sender)
      return
    }
    if (sent === undefined || payload !== String(sent.beat)) return
    const { atMs } = sent
    sent = undefined
    const proved = client
    void current().then(
      // The proof holds for the connection that it came over.
      () => proved === client && lease.renew(atMs),
      (error: unknown) => log.warn('what may have changed could not be read again', { error }),
    )
  }

  /** Everything that was heard has taken effect, and everything that may have been missed was read again. */
  async function current(): Promise<void> {
    await Promise.all([...applying])
    if (readUpTo === gap) return
    reading ??= readAgain().finally(() => {
      reading = undefined
    })
    await reading
  }

  async function readAgain(): Promise<void> {
    while (readUpTo !== gap) {
      const upTo = gap
      await Promise.all([...rereads].map((reread) => reread()))
      readUpTo = upTo
    }
  }

  function messageOf(topic: string, payload: string): string {
    if (!TOPIC.test(topic) || !PAYLOAD.test(payload))
      throw new AppError('internal', { detail: `a hint of ${topic} is malformed` })
    return `${node} ${topic} ${payload}`
  }

  async function publish(tx: Tx | undefined, topic: string, payload: string): Promise<void> {
    const message = messageOf(topic, payload)
    if (tx) await sql`select pg_notify(${CHANNEL}, ${message})`.execute(tx)
    else await database.pool.query('select pg_notify($1, $2)', [CHANNEL, message])
  }

  return {
    node,
    lease,

    async start() {
      try {
        await connect()
      } catch (error) {
        throw new AppError('unavailable', { detail: 'the bus could not reach PostgreSQL', cause: error })
      }
      timer = setInterval(beat, beatMs)
      await lease.start()
    },

    async close() {
      closing.abort()
      clearInterval(timer)
      lease.close()
      await connecting
      const last = client
      client = undefined
      await Promise.all([...applying])
      await reading?.catch(() => {})
      await last?.end().catch(() => {})
    },

    publish,

    tell(topic, payload) {
      const message = messageOf(topic, payload)
      const current = client
      current
        ?.query('select pg_notify($1, $2)', [CHANNEL, message])
        .catch((error: unknown) => lose(current, error))
    },

    subscribe(topic, listener) {
      const own: HintListener = (hint) => listener(hint)
      const set = listeners.get(topic) ?? new Set()
      listeners.set(topic, set.add(own))
      return () => set.delete(own)
    },

    onGap(readAgain) {
      const own = () => readAgain()
      rereads.add(own)
      return () => rereads.delete(own)
    },

    heard(other, withinMs) {
      if (other === node) return true
      const atMs = peers.get(other)
      return atMs !== undefined && monotonicMs() - atMs < withinMs
    },

    get alone() {
      const nowMs = monotonicMs()
      if (!client || nowMs - listeningSinceMs < 2 * beatMs) return false
      return ![...peers.values()].some((atMs) => nowMs - atMs < 4 * leaseMs)
    },

    stats: () => ({
      bus_hints_heard_total: counts.heard,
      bus_hints_ignored_total: counts.ignored,
      bus_gaps_total: counts.gaps,
      bus_reconnects_total: counts.reconnects,
      bus_peers: peers.size,
      ...lease.stats(),
    }),
  }
}

async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  const timeout = new AbortController()
  const late = sleep(timeoutMs, undefined, { signal: timeout.signal }).then(() => {
    throw new Error('no answer in time')
  })
  late.catch(() => {})
  try {
    return await Promise.race([work, late])
  } finally {
    timeout.abort()
  }
}
