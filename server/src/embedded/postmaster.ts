import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { AppError } from '../core/index.ts'
import type { Binaries } from './binaries.ts'
import { STOP_BOUNDS, type StopBounds, stopProcess } from './orphan.ts'
import type { ServerLog } from './server-log.ts'
import { identity, type ServiceUser } from './service-user.ts'

/** A core file would hold rows and statements in clear: none may be written. */
export const LIMITED = 'ulimit -c 0;'

/** Nothing of our own environment: PG* variables would steer the server, HEARTHLOCK_* are none of its business. */
export function environment(): Record<string, string> {
  return { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }
}

/** A running PostgreSQL server. */
export interface Postmaster {
  readonly pid: number
  /** Resolves when the process has ended. */
  readonly ended: Promise<string>
  hasEnded(): boolean
  stop(bounds?: StopBounds): Promise<void>
}

/** Why a start ended: the pid file or the shared memory of a killed predecessor may still be in the way. */
export class NotStarted extends Error {
  readonly mayPass: boolean
  constructor(how: string, lines: string[]) {
    super(`the database server ended before it was ready (${how})`)
    this.mayPass = lines.some((line) =>
      /lock file|pre-existing shared memory|could not bind|Is another/.test(line),
    )
  }
}

export interface LaunchOptions {
  binaries: Binaries
  clusterDir: string
  settings: string[]
  user: ServiceUser | undefined
  serverLog: ServerLog
  /** Give up when the server has said nothing for so long (recovery reports itself every ten seconds). */
  quietMs?: number
  /** Ends a start that is under way. */
  signal: AbortSignal
  onRecovery: () => void
}

/** Resolves when the server accepts connections. @throws NotStarted */
export async function launchPostmaster(options: LaunchOptions): Promise<Postmaster> {
  const args = ['-D', options.clusterDir, ...options.settings]
  const child = spawn('/bin/sh', ['-c', `${LIMITED} exec "$@"`, 'sh', options.binaries.postgres, ...args], {
    ...identity(options.user),
    cwd: '/',
    env: environment(),
    stdio: ['ignore', 'ignore', 'pipe'],
    // A session of its own: Ctrl-C in the terminal reaches us only, and we stop it in order.
    detached: true,
  })
  const postmaster = watch(child)
  await ready(child, postmaster, options)
  return postmaster
}

function watch(child: ChildProcess): Postmaster {
  let over = false
  const ended = new Promise<string>((resolve) => {
    const finish = (how: string) => {
      over = true
      resolve(how)
    }
    child.once('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.name))
    child.once('exit', (code, signal) => finish(signal ?? `exit code ${code}`))
  })
  const pid = child.pid ?? 0
  return {
    pid,
    ended,
    hasEnded: () => over,
    async stop(bounds = STOP_BOUNDS) {
      if (over || pid === 0) return
      await stopProcess(pid, () => over, bounds)
    },
  }
}

async function ready(child: ChildProcess, postmaster: Postmaster, options: LaunchOptions): Promise<void> {
  const quietMs = options.quietMs ?? 60_000
  const lines: string[] = []
  await new Promise<void>((resolve, reject) => {
    const giveUp = () => {
      const error = new AppError('start_refused', {
        message: `The database server does not become ready; see ${options.serverLog.path}.`,
      })
      postmaster.stop().then(() => reject(error), reject)
    }
    const abandon = () => void postmaster.stop().catch(reject)
    options.signal.addEventListener('abort', abandon, { once: true })
    const settled = () => {
      clearTimeout(timer)
      options.signal.removeEventListener('abort', abandon)
    }
    let timer = setTimeout(giveUp, quietMs)
    let isReady = false
    const stderr = child.stderr as NodeJS.ReadableStream
    createInterface({ input: stderr }).on('line', (line) => {
      options.serverLog.write(line)
      if (isReady) return
      clearTimeout(timer)
      timer = setTimeout(giveUp, quietMs)
      lines.push(line)
      if (line.includes('automatic recovery in progress')) options.onRecovery()
      if (!line.includes('database system is ready to accept connections')) return
      isReady = true
      settled()
      resolve()
    })
    const failed = () => {
      settled()
      postmaster.ended.then((how) => reject(new NotStarted(how, lines)), reject)
    }
    // 'close' comes after the last line; 'error' when there was no process at all.
    child.once('close', failed)
    child.once('error', failed)
  })
}
