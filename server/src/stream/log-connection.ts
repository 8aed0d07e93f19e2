import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { AppError, type Database, type Log } from '../core/index.ts'
import type { StreamLimits } from './face.ts'
import { encodeColumns, insertBatch, type PendingRecord } from './pending-record.ts'

export interface LogConnectionEvents {
  /** Records up to `seq` are committed, by whichever process. */
  onHead(seq: number): void
  onUp(): void
  /** An attempt to connect has failed; more follow by themselves. */
  onDown(): void
}

/** The one connection that inserts batches, and that hears of other processes' batches. */
export interface LogConnection {
  /** @throws AppError unavailable when the first attempt fails */
  start(): Promise<void>
  close(): Promise<void>
  readonly up: boolean
  /** The connection broke during a batch, and it is not yet sure that PostgreSQL has stopped working on it. */
  readonly outcomeUnknown: boolean
  /**
   * Stores a batch durably; resolves to the seq before its first record.
   * @param announce whether to wake other processes' readers
   * @throws AppError unavailable
   */
  insert(batch: readonly PendingRecord[], announce: boolean): Promise<number>
  readonly reconnects: number
}

const CHANNEL = 'hearthlock_stream'
const FENCE_TIMEOUT_MS = 2_000

interface Backend {
  pid: number
  startedAt: string
}

export function createLogConnection(o: {
  database: Database
  log: Log
  limits: StreamLimits
  events: LogConnectionEvents
}): LogConnection {
  const { database, log, limits, events } = o
  const instance = randomUUID()
  const closing = new AbortController()
  let client: pg.Client | undefined
  let backend: Backend | undefined
  let outcomeUnknown = false
  let reconnects = 0
  let reconnecting: Promise<void> | undefined

  async function connect(): Promise<void> {
    const { options } = database.pool
    // The pool hides its password from enumeration, so a spread alone would lose it.
    const fresh = new pg.Client({
      ...options,
      password: options.password,
      application_name: 'hearthlock-stream',
      connectionTimeoutMillis: limits.batchTimeoutMs,
      keepAlive: true,
    })
    fresh.on('error', (error) => lose(fresh, error))
    fresh.on('end', () => lose(fresh))
    fresh.on('notification', ({ payload = '' }) => {
      const [sender, seq] = payload.split(' ')
      if (sender !== instance) events.onHead(Number(seq))
    })
    try {
      await fresh.connect()
      const head = await within(
        limits.batchTimeoutMs + FENCE_TIMEOUT_MS,
        fence(fresh).then(() => prepare(fresh)),
      )
      // The events above may have told the end of it already.
      if (closing.signal.aborted) throw new AppError('unavailable', { detail: 'the stream is closing' })
      client = fresh
      outcomeUnknown = false
      events.onHead(head)
    } catch (error) {
      await end(fresh)
      throw error
    }
  }

  /**
   * A batch of ours may still be running in the backend that we lost. It is ended first: otherwise its records could
   * appear after a device has asked whether they were stored, and has sent them again.
   */
  async function fence(fresh: pg.Client): Promise<void> {
    if (!backend) return
    const { rows } = await fresh.query<{ gone: boolean }>(
      `select pg_terminate_backend(pid, $3) as gone from pg_stat_activity
       where pid = $1 and backend_start = $2::timestamptz`,
      [backend.pid, backend.startedAt, FENCE_TIMEOUT_MS],
    )
    if (rows.some((row) => !row.gone)) throw new AppError('unavailable', { detail: 'the lost backend lives' })
    backend = undefined
  }

  async function prepare(fresh: pg.Client): Promise<number> {
    // An acknowledgement is a promise: a role or database that is set to commit asynchronously is overruled.
    await fresh.query(`
      select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off';
      set plan_cache_mode = force_generic_plan;
      listen ${CHANNEL}`)
    const self = await fresh.query<Backend & { fsync: string }>(
      `select pid, backend_start::text as "startedAt", current_setting('fsync') as fsync
       from pg_stat_activity where pid = pg_backend_pid()`,
    )
    backend = self.rows[0]
    if (self.rows[0]?.fsync === 'off')
      log.warn('PostgreSQL runs with fsync off: a power failure loses records')
    // With the lock, so that a batch which a killed process left behind is over before anybody reads.
    const head = await fresh.query<{ seq: number }>('select seq from stream.head for update')
    const row = head.rows[0]
    if (!row) throw new AppError('unavailable', { detail: 'stream.head is empty' })
    return row.seq
  }

  function lose(lost: pg.Client, error?: unknown): void {
    if (client !== lost) return
    client = undefined
    if (closing.signal.aborted) return
    log.warn('the connection that appends to the stream broke', { error })
    void end(lost)
    reconnecting = reconnect()
  }

  async function reconnect(): Promise<void> {
    for (let pauseMs = limits.retryFirstMs; ; pauseMs = Math.min(pauseMs * 2, limits.retryLastMs)) {
      try {
        await connect()
        reconnects++
        events.onUp()
        return
      } catch (error) {
        if (closing.signal.aborted) return
        log.warn('the stream could not reach PostgreSQL', { error, retryAfterMs: pauseMs })
        events.onDown()
        await sleep(pauseMs * (0.5 + Math.random() / 2), undefined, { signal: closing.signal }).catch(
          () => {},
        )
        if (closing.signal.aborted) return
      }
    }
  }

  return {
    get up() {
      return client !== undefined
    },
    get outcomeUnknown() {
      return outcomeUnknown
    },
    get reconnects() {
      return reconnects
    },

    async start() {
      try {
        await connect()
      } catch (error) {
        throw new AppError('unavailable', { detail: 'the stream could not reach PostgreSQL', cause: error })
      }
    },

    async close() {
      closing.abort()
      await reconnecting
      const last = client
      client = undefined
      if (last) await end(last)
    },

    async insert(batch, announce) {
      const current = client
      if (!current) throw new AppError('unavailable', { detail: 'not connected' })
      try {
        const { rows } = await within(
          limits.batchTimeoutMs,
          current.query<{ base: number }>({
            ...insertBatch,
            values: [batch.length, ...encodeColumns(batch), announce, instance],
          }),
        )
        const row = rows[0]
        if (!row) throw new AppError('unavailable', { detail: 'stream.head is empty' })
        return row.base
      } catch (error) {
        if (!wasRolledBack(error)) {
          outcomeUnknown = true
          lose(current, error)
        }
        throw new AppError('unavailable', { cause: error })
      }
    },
  }
}

/** PostgreSQL itself said so, and lives on. Whatever else happened, the commit may have gone through. */
function wasRolledBack(error: unknown): boolean {
  return error instanceof AppError || (error instanceof pg.DatabaseError && error.severity === 'ERROR')
}

async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), timeoutMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Ends a connection in whatever state it is; with a query still running, pg cuts the socket. */
async function end(client: pg.Client): Promise<void> {
  await client.end().catch(() => {})
}
