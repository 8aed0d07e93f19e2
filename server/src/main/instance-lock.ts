import { randomBytes } from 'node:crypto'
import { chmod, link, mkdir, readdir, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../core/index.ts'

interface Holder {
  pid: number
  /** Tells a process from a later one with the same number; empty where the system does not say. */
  started: string
}

const NAME = /^instance-(\d{1,15})\.lock$/

/**
 * Makes the data directory (for its owner only) and takes it for this process; the answer gives it back.
 *
 * Each taking is a new generation: `instance-N.lock` appears with its content in one step (link), and only where no
 * `instance-N.lock` was. The highest generation counts, and it is never deleted, only marked as released or
 * followed by the next. So of two processes that both find a dead holder's lock, exactly one gets the next.
 * @throws AppError start_refused when another living process holds it
 */
export async function lockDataDirectory(dataDir: string): Promise<() => Promise<void>> {
  await makeDirectory(dataDir)
  const mine = JSON.stringify({ pid: process.pid, started: await processStart(process.pid) } satisfies Holder)
  for (let attempt = 0; attempt < 100; attempt++) {
    const generation = await highest(dataDir).catch((cause) => notYours(dataDir, cause))
    const holder = generation === 0 ? undefined : await readHolder(lockPath(dataDir, generation))
    if (holder && (await isAlive(holder))) refuse(dataDir, holder.pid)
    const path = lockPath(dataDir, generation + 1)
    if (!(await appear(path, mine).catch((cause) => notYours(dataDir, cause)))) continue
    // A slow starter may have made an old generation again: then it does not count.
    if ((await highest(dataDir)) !== generation + 1) {
      await unlink(path).catch(() => {})
      continue
    }
    await removeBelow(dataDir, generation + 1)
    return () => replace(path, JSON.stringify({ released: true }))
  }
  throw new AppError('start_refused', {
    message: `Too many processes want the data directory ${dataDir} at once. Try again.`,
  })
}

async function makeDirectory(dataDir: string): Promise<void> {
  // As root, PostgreSQL runs as another user, who must get through (not look around) to its own part.
  const mode = process.getuid?.() === 0 ? 0o711 : 0o700
  const made = await mkdir(dataDir, { recursive: true, mode }).catch((cause) => notYours(dataDir, cause))
  // A umask may have taken more away.
  if (made !== undefined) return chmod(dataDir, mode)
  const found = await stat(dataDir)
  if ((found.mode & 0o022) !== 0) {
    throw new AppError('start_refused', {
      message: `Others may write to the data directory ${dataDir}. Take that away (chmod go-w), or set HEARTHLOCK_DATA_DIR to a directory of its own.`,
    })
  }
}

function notYours(dataDir: string, cause: unknown): never {
  throw new AppError('start_refused', {
    message: `The data directory ${dataDir} cannot be made or written. Set HEARTHLOCK_DATA_DIR to one that you may write.`,
    cause,
  })
}

function refuse(dataDir: string, pid: number): never {
  throw new AppError('start_refused', {
    message: `Hearthlock is already running on the data directory ${dataDir} (process ${pid}). Stop that one first, or set HEARTHLOCK_DATA_DIR to another directory.`,
  })
}

const lockPath = (dataDir: string, generation: number) => join(dataDir, `instance-${generation}.lock`)

async function generations(dataDir: string): Promise<number[]> {
  return (await readdir(dataDir)).map((name) => Number(NAME.exec(name)?.[1] ?? 0)).filter((n) => n > 0)
}

async function highest(dataDir: string): Promise<number> {
  return Math.max(0, ...(await generations(dataDir)))
}

async function removeBelow(dataDir: string, generation: number): Promise<void> {
  for (const old of await generations(dataDir)) {
    if (old < generation) await unlink(lockPath(dataDir, old)).catch(() => {})
  }
}

/** Nothing readable (released, or torn by a power cut) is nobody's. */
async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    const { pid, started } = JSON.parse(await readFile(path, 'utf8'))
    return Number.isInteger(pid) && pid > 0 ? { pid, started: String(started) } : undefined
  } catch {
    return undefined
  }
}

async function isAlive({ pid, started }: Holder): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: alive, but somebody else's.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  const now = await processStart(pid)
  // Where the system hides others' processes, a living one has no start time to compare.
  return now === started || now === ''
}

/** Boot and start time of a process on Linux (proc(5), `stat`, field 22); elsewhere the empty string. */
async function processStart(pid: number): Promise<string> {
  if (process.platform !== 'linux') return ''
  try {
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
    const fields = await readFile(`/proc/${pid}/stat`, 'utf8')
    // The second field, the command, is in parentheses and may hold spaces and parentheses itself.
    const afterCommand = fields.slice(fields.lastIndexOf(')') + 2).split(' ')
    return afterCommand[0] === 'Z' ? 'zombie' : `${boot}/${afterCommand[19]}`
  } catch {
    return ''
  }
}

/** Makes the file with its whole content in one step; false when there is one already. */
async function appear(path: string, content: string): Promise<boolean> {
  const draft = await writeDraft(path, content)
  try {
    await link(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await unlink(draft)
  }
}

async function replace(path: string, content: string): Promise<void> {
  await rename(await writeDraft(path, content), path)
}

async function writeDraft(path: string, content: string): Promise<string> {
  const draft = `${path}.${randomBytes(8).toString('hex')}`
  await writeFile(draft, content, { mode: 0o600, flag: 'wx' })
  return draft
}
