import { readdir, readFile, readlink } from 'node:fs/promises'

/** A file that a process of ours holds open, or has in its memory. */
export interface OpenFile {
  pid: number
  /** As the process knows it; without the mark that it was deleted. */
  path: string
  /** Where its bytes can be read, though its name may be gone. */
  readAt: string
  deleted: boolean
  writable: boolean
}

/** Where a process of ours speaks to somebody outside of them. */
export interface Peer {
  pid: number
  address: string
}

const WRITE_FLAGS = 0o3

/** These processes and all that they started. Linux only: elsewhere the ones that were named. */
export async function processTree(roots: readonly number[]): Promise<number[]> {
  const parents = new Map<number, number>()
  for (const entry of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(entry)) continue
    const stat = await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '')
    // The second field is the program's name, in brackets, and may hold anything.
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    if (parent > 0) parents.set(Number(entry), parent)
  }
  const found = new Set(roots)
  for (let size = -1; size !== found.size; ) {
    size = found.size
    for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid)
  }
  return [...found]
}

/** Undefined where we may not look: that is told, never passed over. */
export async function openFiles(pid: number): Promise<OpenFile[] | undefined> {
  let numbers: string[]
  try {
    numbers = await readdir(`/proc/${pid}/fd`)
  } catch (error) {
    // A process that has ended meanwhile has nothing open.
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? [] : undefined
  }
  const files: OpenFile[] = []
  for (const number of numbers) {
    const target = await readlink(`/proc/${pid}/fd/${number}`).catch(() => '')
    if (!target.startsWith('/') || /^\/(dev|proc|sys)\/(?!shm\/)/.test(target)) continue
    const info = await readFile(`/proc/${pid}/fdinfo/${number}`, 'utf8').catch(() => '')
    const flags = Number.parseInt(/^flags:\s*(\d+)/m.exec(info)?.[1] ?? '0', 8)
    files.push(fileOf(pid, target, `/proc/${pid}/fd/${number}`, (flags & WRITE_FLAGS) !== 0))
  }
  return [...files, ...(await mappedFiles(pid))]
}

/** What is shared with a file and may be written. */
async function mappedFiles(pid: number): Promise<OpenFile[]> {
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8').catch(() => '')
  return maps.split('\n').flatMap((line) => {
    const [, range, rights, path] = /^(\S+) (\S+) \S+ \S+ [1-9]\d*\s+(\/.*)$/.exec(line) ?? []
    if (!range || !path || !rights?.includes('w') || !rights.includes('s') || path.startsWith('/dev/zero'))
      return []
    return [fileOf(pid, path, `/proc/${pid}/map_files/${range}`, true)]
  })
}

function fileOf(pid: number, target: string, reached: string, writable: boolean): OpenFile {
  const deleted = target.endsWith(' (deleted)')
  const path = deleted ? target.slice(0, -' (deleted)'.length) : target
  return { pid, path, deleted, writable, readAt: deleted ? reached : path }
}

/** Connections that these processes made, or took, to other addresses than this machine's own loopback and each other. */
export async function peers(pids: readonly number[]): Promise<Peer[]> {
  const owners = new Map<string, number>()
  for (const pid of pids) {
    for (const number of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${number}`).catch(() => '')
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1]
      if (inode) owners.set(inode, pid)
    }
  }
  const sockets = (
    await Promise.all(['tcp', 'tcp6'].map((table) => readSockets(`/proc/self/net/${table}`)))
  ).flat()
  const listening = new Set(sockets.filter(({ state }) => state === LISTEN).map(({ localPort }) => localPort))
  return sockets.flatMap(({ inode, state, localPort, remote }) => {
    const pid = owners.get(inode)
    // What came in through a port of ours is a caller, not a store.
    if (pid === undefined || state !== ESTABLISHED || listening.has(localPort)) return []
    return [{ pid, address: remote }]
  })
}

const ESTABLISHED = '01'
const LISTEN = '0A'

interface SocketRow {
  inode: string
  state: string
  localPort: number
  remote: string
}

async function readSockets(path: string): Promise<SocketRow[]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, local, remote, state, , , , , , inode] = line.trim().split(/\s+/)
      if (!local || !remote || !state || !inode) return []
      return [
        {
          inode,
          state,
          localPort: Number.parseInt(local.split(':')[1] ?? '', 16),
          remote: addressOf(remote),
        },
      ]
    })
}

/** The kernel writes addresses as words of its own byte order. */
function addressOf(text: string): string {
  const [words = '', port = ''] = text.split(':')
  const bytes = (words.match(/.{8}/g) ?? []).flatMap((word) => [...Buffer.from(word, 'hex').reverse()])
  const mapped = bytes.length === 16 && bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff
  const host =
    bytes.length === 4 || mapped
      ? bytes.slice(-4).join('.')
      : `[${(Buffer.from(bytes).toString('hex').match(/.{4}/g) ?? []).join(':')}]`
  return `${host}:${Number.parseInt(port, 16)}`
}
