import { execFile } from 'node:child_process'
import { readFile, realpath, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { AppError, type Log } from '../core/index.ts'

/** Bounds of stopping a postmaster: fast shutdown, then immediate, then kill. */
export interface StopBounds {
  fastMs: number
  immediateMs: number
}
export const STOP_BOUNDS: StopBounds = { fastMs: 30_000, immediateMs: 10_000 }

/**
 * Stops a postmaster that an earlier process of ours left on this cluster when it was killed, and clears its pid
 * file when the number in it has since gone to somebody else (PostgreSQL would refuse to start for ever).
 * @throws AppError start_refused when it cannot be told whose the process is, or it does not stop
 */
export async function clearOrphan(
  clusterDir: string,
  log: Log,
  onProgress: (what: string) => void,
): Promise<void> {
  const pidFile = join(clusterDir, 'postmaster.pid')
  const lines = (await readFile(pidFile, 'utf8').catch(() => '')).split('\n')
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid <= 1 || pid === process.pid) return
  const command = await commandOf(pid)
  // Nobody of that number lives: PostgreSQL clears the file itself, after checking its shared memory.
  if (command === undefined) return
  const whose = await belongsTo(command, clusterDir)
  if (whose === 'other') {
    log.warn('the database left a pid file whose number another process has now; removing it', { pid })
    await rm(pidFile, { force: true })
    return
  }
  if (whose === 'unknown') {
    throw new AppError('start_refused', {
      message: `Process ${pid} is a PostgreSQL server that may be using ${clusterDir}. Stop it, then start Hearthlock again.`,
    })
  }
  onProgress('stopping a database server left over from an unclean stop')
  log.warn('stopping a database server left over from an unclean stop', { pid })
  await stopProcess(pid, async () => (await commandOf(pid)) === undefined)
}

/** Fast shutdown (SIGINT), then immediate (SIGQUIT), then SIGKILL: PostgreSQL recovers from each. */
export async function stopProcess(
  pid: number,
  isGone: () => Promise<boolean> | boolean,
  bounds: StopBounds = STOP_BOUNDS,
): Promise<void> {
  const steps: [NodeJS.Signals, number][] = [
    ['SIGINT', bounds.fastMs],
    ['SIGQUIT', bounds.immediateMs],
    ['SIGKILL', 5_000],
  ]
  for (const [signal, waitMs] of steps) {
    signalProcess(pid, signal)
    const until = performance.now() + waitMs
    while (performance.now() < until) {
      if (await isGone()) return
      await sleep(20)
    }
  }
  throw new AppError('start_refused', { message: `The database server (process ${pid}) does not stop.` })
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ESRCH') return
    throw new AppError('start_refused', {
      message: `The database server (process ${pid}) belongs to another user and cannot be stopped. Start Hearthlock as the user who started it last.`,
      cause: error,
    })
  }
}

/** The arguments of a living process; undefined when there is none. A zombie has none and counts as dead. */
async function commandOf(pid: number): Promise<string[] | undefined> {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return undefined
  }
  if (process.platform === 'linux') {
    const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined)
    if (text !== undefined) return text === '' ? zombieOrThread(pid) : text.split('\0').slice(0, -1)
  }
  return commandFromPs(pid)
}

/** A zombie counts as dead even when nobody collects it (containers without an init process). */
async function zombieOrThread(pid: number): Promise<string[] | undefined> {
  const fields = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return /^[ZX]/.test(fields.slice(fields.lastIndexOf(')') + 2)) || fields === '' ? undefined : []
}

async function commandFromPs(pid: number): Promise<string[] | undefined> {
  try {
    const { stdout } = await promisify(execFile)('ps', ['-ww', '-o', 'stat=,command=', '-p', String(pid)])
    const [state = '', ...command] = stdout.trim().split(/\s+/)
    return state === '' || state.startsWith('Z') ? undefined : command
  } catch {
    return undefined
  }
}

/** Our postmaster's command line begins with `postgres -D <cluster>`; its children's with `postgres: `. */
async function belongsTo(command: string[], clusterDir: string): Promise<'us' | 'other' | 'unknown'> {
  if (basename(command[0] ?? '') !== 'postgres') return 'other'
  const option = command.indexOf('-D')
  const folder = option === -1 ? undefined : command[option + 1]
  if (folder === undefined) return 'unknown'
  if (folder === clusterDir) return 'us'
  const real = await realpath(folder).catch(() => undefined)
  if (real === undefined) return 'unknown'
  return real === (await realpath(clusterDir)) ? 'us' : 'other'
}
