import { execFile, spawn } from 'node:child_process'
import { chmod, chown, lchown, readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { AppError } from '../core/index.ts'

/** The unprivileged system user that PostgreSQL runs as when we are root: it refuses to run as root itself. */
export interface ServiceUser {
  name: string
  uid: number
  gid: number
}

const run = promisify(execFile)
const PREFERRED = ['hearthlock', 'postgres']

/**
 * Undefined when we are not root: PostgreSQL then runs as ourselves. An existing cluster keeps its owner.
 * @throws AppError start_refused when we are root and there is no user to be had
 */
export async function serviceUser(clusterDir: string): Promise<ServiceUser | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const owner = await stat(clusterDir).catch(() => undefined)
  if (owner && owner.uid !== 0) return { name: `number ${owner.uid}`, uid: owner.uid, gid: owner.gid }
  for (const name of PREFERRED) {
    const found = await lookUp(name)
    if (found) return found
  }
  try {
    await run('useradd', [
      '--system',
      '--user-group',
      '--no-create-home',
      '--shell',
      '/usr/sbin/nologin',
      'hearthlock',
    ])
  } catch (cause) {
    throw new AppError('start_refused', { message: NO_USER, cause })
  }
  const made = await lookUp('hearthlock')
  if (!made) throw new AppError('start_refused', { message: NO_USER })
  return made
}

const NO_USER =
  'PostgreSQL does not run as root, and the system user "hearthlock" could not be made. Make it (useradd --system hearthlock), start Hearthlock as an ordinary user, or set HEARTHLOCK_DATABASE_URL.'

async function lookUp(name: string): Promise<ServiceUser | undefined> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])])
    const user = { name, uid: Number(uid.stdout), gid: Number(gid.stdout) }
    return user.uid > 0 ? user : undefined
  } catch {
    return undefined
  }
}

/** Hands a directory that stands in a directory of ours to the user, with all that is in it. */
export async function handOver(path: string, user: ServiceUser | undefined): Promise<void> {
  if (!user) return
  const found = await stat(path)
  if (found.uid === user.uid) return
  await chownTree(path, user)
}

async function chownTree(path: string, user: ServiceUser): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const inner = join(path, entry.name)
    if (entry.isDirectory()) await chownTree(inner, user)
    else await lchown(inner, user.uid, user.gid)
  }
  await chown(path, user.uid, user.gid)
}

/**
 * The user must get through the data directory (its own part lies inside). Ours to open; what is above is not.
 * @throws AppError start_refused when a directory above lets nobody through
 */
export async function letThrough(dataDir: string, user: ServiceUser | undefined): Promise<void> {
  if (!user) return
  const { mode } = await stat(dataDir)
  if ((mode & 0o011) !== 0o011) await chmod(dataDir, (mode & 0o777) | 0o011)
  if (await canRun('/bin/sh', ['-c', 'cd -- "$1"', 'sh', dataDir], user)) return
  let closed = dirname(dataDir)
  while (
    closed !== '/' &&
    (await canRun('/bin/sh', ['-c', 'cd -- "$1"', 'sh', dirname(closed)], user)) === false
  ) {
    closed = dirname(closed)
  }
  throw new AppError('start_refused', {
    message: `PostgreSQL runs as the user ${user.name}, who cannot get through ${closed} to the data directory. Set HEARTHLOCK_DATA_DIR to a directory such as /var/lib/hearthlock.`,
  })
}

/** True when the program runs and ends well as that user. */
export async function canRun(
  program: string,
  args: string[],
  user: ServiceUser | undefined,
): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { ...identity(user), cwd: '/', env: {}, stdio: 'ignore' })
    child.once('error', () => resolve(false))
    child.once('exit', (code) => resolve(code === 0))
  })
}

/** For `spawn`; it drops our supplementary groups as well. */
export function identity(user: ServiceUser | undefined): { uid?: number; gid?: number } {
  return user ? { uid: user.uid, gid: user.gid } : {}
}
