import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { link, mkdir, open, realpath, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { AppError, type Clock, systemClock } from '../core/index.ts'
import { KEY_BYTES } from './derive.ts'
import { formatKeyFile, type KeyFileEntry, parseKeyFile } from './key-file-format.ts'
import type { KeyProvider, RootKey } from './provider.ts'

export interface FileKeyOptions {
  path: string
  /** Where the stores are. The key must lie outside: a copy of this directory must not hold it. */
  dataDir: string
  /** False when a database exists already: its key is missing then, and a new one would not open it. */
  mayCreate: boolean
  clock?: Clock
}

const MAX_FILE_BYTES = 1_000_000

/**
 * The root key in a file that only its owner may read, made at the first start.
 * @throws AppError root_key_refused, with what to do about it
 */
export async function openKeyFile(options: FileKeyOptions): Promise<KeyProvider> {
  const clock = options.clock ?? systemClock
  const path = await locate(resolve(options.path), resolve(options.dataDir))
  let entries = await readEntries(path)
  const created = entries === undefined
  if (!entries) {
    if (!options.mayCreate) {
      throw refused(
        `The root key file ${path} is missing, but the database exists already. Bring the file back from where you keep its copy.`,
      )
    }
    entries = await createFile(path, [newEntry(1, clock)])
  }
  let versions = newestFirst(entries)
  return {
    created,
    versions: () => versions,
    async addVersion() {
      // The file, not our memory: another process may have added one.
      const present = await readEntries(path)
      if (!present) throw refused(`The root key file ${path} is missing. Bring it back first.`)
      const version = Math.max(...present.map((entry) => entry.version)) + 1
      const extended = [...present, newEntry(version, clock)]
      await replaceFile(path, extended)
      versions = newestFirst(extended)
      return version
    },
  }
}

/** Where the file really is, links followed. Neither the file nor a link to it may lie in the data directory. */
async function locate(path: string, dataDir: string): Promise<string> {
  const data = await realPathOf(dataDir)
  const entry = join(await realPathOf(dirname(path)), basename(path))
  const target = await realPathOf(path)
  for (const place of [path, entry, target]) {
    if (isInside(place, data) || isInside(place, dataDir)) {
      throw refused(
        `The root key file ${path} lies inside the data directory, so that a copy of the data would hold its key too. Move it elsewhere, for instance: mv ${quoted(path)} ${quoted(join(dirname(data), 'root.key'))}`,
      )
    }
  }
  return target
}

/** Like realpath, for a path whose last parts may not exist yet. */
async function realPathOf(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    if (!isCode(error, 'ENOENT') || dirname(path) === path) throw unreadable(path, error)
    return join(await realPathOf(dirname(path)), basename(path))
  }
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path)
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`))
}

async function readEntries(path: string): Promise<KeyFileEntry[] | undefined> {
  // NONBLOCK: opening a pipe would wait for ever. NOFOLLOW: the links were followed before.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW
  const file = await open(path, flags).catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return undefined
    throw unreadable(path, error)
  })
  if (!file) return undefined
  try {
    // Of the open file, not of the path: it can't be exchanged in between.
    const { mode, uid, size } = await file.stat()
    if ((mode & constants.S_IFMT) !== constants.S_IFREG)
      throw refused(`The root key file ${path} is not a regular file.`)
    if ((mode & 0o077) !== 0) {
      throw refused(
        `Others can use the root key file ${path}. Take their rights away: chmod 600 ${quoted(path)}`,
      )
    }
    const me = process.getuid?.()
    if (me !== undefined && uid !== me && uid !== 0) {
      throw refused(
        `The root key file ${path} belongs to another user. Make it yours: chown ${me} ${quoted(path)}`,
      )
    }
    const entries = size <= MAX_FILE_BYTES ? parseKeyFile(await file.readFile('utf8')) : undefined
    if (!entries) {
      throw refused(`The root key file ${path} is damaged. Bring it back from where you keep its copy.`)
    }
    return entries
  } finally {
    await file.close()
  }
}

/** Complete or not at all, and never over an existing file: written aside, made durable, then linked to its name. */
async function createFile(path: string, entries: KeyFileEntry[]): Promise<KeyFileEntry[]> {
  const folder = dirname(path)
  const made = await mkdir(folder, { recursive: true, mode: 0o700 })
  const aside = `${path}.${randomBytes(6).toString('hex')}.new`
  try {
    await writeDurably(aside, entries)
    await link(aside, path)
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw unwritable(path, error)
  } finally {
    await unlink(aside).catch(() => {})
  }
  await syncFolders(folder, made)
  // Of two first starts at once both take what stands there now.
  const present = await readEntries(path)
  if (!present) throw refused(`The root key file ${path} vanished while it was made.`)
  return present
}

async function replaceFile(path: string, entries: KeyFileEntry[]): Promise<void> {
  // A fixed name, made exclusively: two that add a version at once can't lose one of them.
  const aside = `${path}.new`
  await writeDurably(aside, entries).catch((error: unknown) => {
    if (isCode(error, 'EEXIST')) {
      throw refused(
        `A change of the root key file is under way, or one was broken off. If none runs, remove its rest: rm ${quoted(aside)}`,
      )
    }
    throw unwritable(path, error)
  })
  try {
    await rename(aside, path)
  } catch (error) {
    await unlink(aside).catch(() => {})
    throw unwritable(path, error)
  }
  await syncFolders(dirname(path))
}

async function writeDurably(path: string, entries: KeyFileEntry[]): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(formatKeyFile(entries))
    await file.sync()
  } finally {
    await file.close()
  }
}

/** A new name is durable once its folder is; a new folder once its own parent is, up to the first that was there. */
async function syncFolders(folder: string, firstMade: string | undefined = undefined): Promise<void> {
  const handle = await open(folder, 'r')
  await handle.sync().finally(() => handle.close())
  if (firstMade !== undefined && isInside(folder, firstMade)) await syncFolders(dirname(folder), firstMade)
}

function newEntry(version: number, clock: Clock): KeyFileEntry {
  return { version, secret: randomBytes(KEY_BYTES), createdAtMs: clock.nowMs() }
}

function newestFirst(entries: KeyFileEntry[]): readonly RootKey[] {
  return entries.map(({ version, secret }) => ({ version, secret })).sort((a, b) => b.version - a.version)
}

function refused(message: string): AppError {
  return new AppError('root_key_refused', { message })
}

function unreadable(path: string, cause: unknown): AppError {
  return new AppError('root_key_refused', {
    message: `The root key file ${path} cannot be read (${codeOf(cause)}).`,
    cause,
  })
}

function unwritable(path: string, cause: unknown): AppError {
  return new AppError('root_key_refused', {
    message: `The root key file ${path} cannot be written (${codeOf(cause)}).`,
    cause,
  })
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'
}

function isCode(error: unknown, code: string): boolean {
  return codeOf(error) === code
}

/** For a shell: the commands in our messages are meant to be copied. */
function quoted(path: string): string {
  return /^[\w./@:+-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`
}
