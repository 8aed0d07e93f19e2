import { setTimeout as sleep } from 'node:timers/promises'
import { AppError, isAppError, type Log, type Secret } from '../core/index.ts'
import { clearOrphan, type StopBounds } from './orphan.ts'
import { type Place, takePlace } from './place.ts'
import { launchPostmaster, NotStarted, type Postmaster } from './postmaster.ts'
import { type EmbeddedConnection, prepareDatabase } from './prepare.ts'
import { DATABASE, ROLE, SOCKET_PORT, settings } from './settings.ts'

export interface EmbeddedPostgresOptions {
  dataDir: string
  /** Derived from the root key by the caller: it is stored nowhere, the cluster holds a SCRAM verifier only. */
  password: Secret
  log: Log
  /** Steps that may take a moment, as a person would say them. */
  onProgress?: ((what: string) => void) | undefined
  stopBounds?: StopBounds | undefined
}

export interface EmbeddedPostgres {
  /**
   * Creates the cluster if there is none, clears up after an unclean stop, and answers when connections are accepted.
   * @throws AppError start_refused; database_newer; root_key_refused when the password is not the cluster's
   */
  start(): Promise<EmbeddedConnection>
  /** Fast shutdown, bounded. */
  close(): Promise<void>
  /** The server's process number while it runs; changes when it had to be restarted. */
  pid(): number | undefined
  stats(): Record<string, number>
}

const RETRY_MS = 250
const RETRY_FOR_MS = 30_000
const RESTART_MAX_MS = 10_000

/**
 * A real PostgreSQL server in `<dataDir>/postgres`, on a Unix socket, under our supervision: when it dies it is
 * started again. It outlives a SIGKILL of this process, unharmed, and the next start stops it and starts its own.
 */
export function createEmbeddedPostgres(options: EmbeddedPostgresOptions): EmbeddedPostgres {
  const { log, password } = options
  const onProgress = options.onProgress ?? (() => {})
  const stopping = new AbortController()
  let place: Place | undefined
  let starting: Promise<EmbeddedConnection> | undefined
  let running: Postmaster | undefined
  let supervision: Promise<void> | undefined
  let restarts = 0

  async function begin(): Promise<EmbeddedConnection> {
    place = await takePlace(options, onProgress)
    const connection: EmbeddedConnection = {
      host: place.socket.path,
      port: SOCKET_PORT,
      user: ROLE,
      database: DATABASE,
      password: password.reveal(),
    }
    try {
      onProgress('starting the database server')
      running = await launchWithRetry(place)
      await prepareDatabase(connection, place.clusterDir)
    } catch (error) {
      await end()
      throw isAppError(error) ? error : notStarted(place, error)
    }
    supervision = supervise(place, running)
    return connection
  }

  async function launchWithRetry(at: Place): Promise<Postmaster> {
    await clearOrphan(at.clusterDir, log, onProgress)
    await at.socket.clear()
    const until = performance.now() + RETRY_FOR_MS
    for (;;) {
      try {
        return await launchPostmaster({
          binaries: at.binaries,
          clusterDir: at.clusterDir,
          settings: settings({ socketDir: at.socket.path, hbaFile: at.hbaFile }),
          user: at.user,
          serverLog: at.serverLog,
          signal: stopping.signal,
          onRecovery: () => onProgress('recovering the database from an unclean stop'),
        })
      } catch (error) {
        if (!(error instanceof NotStarted && error.mayPass) || performance.now() > until) throw error
        await sleep(RETRY_MS, undefined, { signal: stopping.signal })
      }
    }
  }

  /** Until `close`: each end of the server is followed by a new start, with growing pauses while starts fail. */
  async function supervise(at: Place, first: Postmaster): Promise<void> {
    let current = first
    let pauseMs = 100
    for (;;) {
      const how = await current.ended
      running = undefined
      if (stopping.signal.aborted) return
      log.error('the database server ended unexpectedly; restarting it', { how })
      for (;;) {
        try {
          await sleep(pauseMs, undefined, { signal: stopping.signal })
          const next = await launchWithRetry(at)
          current = next
          running = next
          restarts += 1
          pauseMs = 100
          if (stopping.signal.aborted) await next.stop(options.stopBounds)
          else log.info('the database server is back', { restarts })
          break
        } catch (error) {
          if (stopping.signal.aborted) return
          pauseMs = Math.min(pauseMs * 2, RESTART_MAX_MS)
          log.error('the database server did not start; trying again', { error, pauseMs })
        }
      }
    }
  }

  async function end(): Promise<void> {
    stopping.abort()
    await running?.stop(options.stopBounds)
    await supervision
    running = undefined
    await place?.socket.remove()
  }

  async function close(): Promise<void> {
    stopping.abort()
    await starting?.catch(() => {})
    await end()
  }

  return {
    start: () => {
      starting ??= begin()
      return starting
    },
    close,
    pid: () => running?.pid,
    stats: () => ({ embedded_database_up: running ? 1 : 0, embedded_database_restarts: restarts }),
  }
}

function notStarted(place: Place, cause: unknown): AppError {
  return new AppError('start_refused', {
    message: `The database server did not start; ${place.serverLog.path} says why.`,
    cause,
  })
}
