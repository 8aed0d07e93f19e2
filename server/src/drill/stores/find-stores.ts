import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { openFiles, peers, processTree } from './processes.ts'

/** Where the installation says that it keeps things. */
export interface DeclaredStore {
  name: string
  /** A file, or a folder with all that is in it. */
  path: string
}

/** One store, as it was found. */
export interface FoundStore {
  name: string
  /** How it was found: declared, open in a process, temporary, left by a crash. */
  found: string
  declared: boolean
  files: string[]
}

export interface StoreSearch {
  /** The server's own processes; what they started is found. */
  pids: readonly number[]
  declared: readonly DeclaredStore[]
  /** Folders for temporary files: what our users wrote there since `since` is looked at. */
  temporary: readonly string[]
  sinceMs: number
  /** `host:port` of what the installation says that it speaks to. */
  declaredPeers: readonly string[]
}

export interface FoundStores {
  stores: FoundStore[]
  processes: number
  /** What could not be looked into, and why. */
  blind: string[]
}

/** What a crash or a debugger leaves behind: the memory of a running server, keys included. */
const LEFTOVERS =
  /^(core(\.\d+)?|.*\.(heapsnapshot|heapprofile|cpuprofile|core|dmp)|report\..*\.json|.*-v8\.log)$/
/** PostgreSQL's shared memory has a name as a file has one, and is memory. */
const SHARED_MEMORY = /^\/(dev\/shm\/PostgreSQL\.|SYSV[0-9a-f]+$)/

/** Finds stores by what runs, then compares with what was declared. */
export async function findStores(search: StoreSearch): Promise<FoundStores> {
  const pids = await processTree(search.pids)
  const blind: string[] = []
  const stores: FoundStore[] = []
  const add = (name: string, found: string, declared: boolean, files: string[]) => {
    if (files.length > 0 || !declared) stores.push({ name, found, declared, files })
  }
  for (const { name, path } of search.declared) {
    add(name, 'declared', true, await filesBelow(path, (why) => blind.push(why)))
  }
  const isDeclared = (path: string) =>
    search.declared.some((each) => path === each.path || path.startsWith(`${each.path}/`)) ||
    SHARED_MEMORY.test(path)

  const open = new Map<string, { readAt: string; deleted: boolean }>()
  for (const pid of pids) {
    const files = await openFiles(pid)
    if (!files) blind.push(`process ${pid}: its open files are not ours to see`)
    for (const file of files ?? []) if (file.writable) open.set(`${file.path} ${file.deleted}`, file)
  }
  for (const [key, { readAt, deleted }] of open) {
    const path = key.slice(0, key.lastIndexOf(' '))
    // A file below a declared folder has been listed, unless only the process still has it.
    if (SHARED_MEMORY.test(path) || (isDeclared(path) && !deleted)) continue
    const size = await lstat(readAt).then(
      (found) => (found.isSymbolicLink() ? 1 : found.size),
      () => 0,
    )
    if (deleted && (size === 0 || isDeclared(path))) add(path, 'deleted, still open', true, [readAt])
    else add(path, deleted ? 'deleted, still open in a process' : 'open in a process', false, [readAt])
  }
  for (const path of await leftovers(pids, search))
    add(path, 'left by a crash or a debugger', isDeclared(path), [path])
  const users = await usersOf(pids)
  for (const folder of search.temporary) {
    const files = await temporaryFiles(folder, users, search.sinceMs)
    const undeclared = files.filter((path) => !isDeclared(path))
    add(`temporary files in ${folder}`, 'written since the start', true, undeclared)
  }
  for (const { address, pid } of await peers(pids)) {
    if (!search.declaredPeers.includes(address)) add(address, `a connection of process ${pid}`, false, [])
  }
  return { stores: merged(stores), processes: pids.length, blind }
}

async function filesBelow(path: string, isBlind: (why: string) => void): Promise<string[]> {
  const found = await lstat(path).catch(() => undefined)
  if (found?.isFile()) return [path]
  if (!found?.isDirectory()) return []
  const files: string[] = []
  const walk = async (folder: string) => {
    const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') isBlind(`${folder}: ${error.code}`)
      return []
    })
    for (const entry of entries) {
      const inner = join(folder, entry.name)
      if (entry.isDirectory()) await walk(inner)
      else if (entry.isFile()) files.push(inner)
    }
  }
  await walk(path)
  return files
}

/** Where processes work, and where the kernel puts dumps of memory. */
async function leftovers(pids: readonly number[], search: StoreSearch): Promise<string[]> {
  const pattern = await readFile('/proc/sys/kernel/core_pattern', 'utf8').catch(() => '')
  const folders = new Set(pattern.startsWith('/') ? [dirname(pattern.trim())] : [])
  for (const pid of pids) {
    const folder = await readlink(`/proc/${pid}/cwd`).catch(() => undefined)
    if (folder) folders.add(folder)
  }
  const found: string[] = []
  for (const folder of folders) {
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      if (!entry.isFile() || !LEFTOVERS.test(entry.name)) continue
      const path = join(folder, entry.name)
      const changedMs = await lstat(path).then(
        (stat) => stat.mtimeMs,
        () => 0,
      )
      if (changedMs >= search.sinceMs) found.push(path)
    }
  }
  return found
}

async function usersOf(pids: readonly number[]): Promise<Set<number>> {
  const users = new Set<number>()
  for (const pid of pids) {
    const stat = await lstat(`/proc/${pid}`).catch(() => undefined)
    if (stat) users.add(stat.uid)
  }
  return users
}

/** One level of folders: what belongs to us and is of this run. */
async function temporaryFiles(folder: string, users: Set<number>, sinceMs: number): Promise<string[]> {
  const files: string[] = []
  const look = async (path: string, depth: number) => {
    const stat = await lstat(path).catch(() => undefined)
    if (!stat || !users.has(stat.uid)) return
    if (stat.isFile() && stat.mtimeMs >= sinceMs) files.push(path)
    if (!stat.isDirectory() || depth === 0) return
    for (const name of await readdir(path).catch(() => [])) await look(join(path, name), depth - 1)
  }
  for (const name of await readdir(folder).catch(() => [])) await look(join(folder, name), 1)
  return files
}

/** Connections of a pool to one address are one store. */
function merged(stores: FoundStore[]): FoundStore[] {
  return [
    ...new Map(stores.map((store) => [`${store.name} ${store.found.replace(/\d+/, '')}`, store])).values(),
  ]
}
