import { spawn } from 'node:child_process'
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError, type Secret } from '../core/index.ts'
import type { Binaries } from './binaries.ts'
import { environment, LIMITED } from './postmaster.ts'
import { handOver, identity, type ServiceUser } from './service-user.ts'
import { SUPERUSER } from './settings.ts'

/**
 * Makes the cluster when there is none. It is made beside its place and moved there when complete, so that a first
 * start that is killed half-way leaves nothing that a second one could mistake for a cluster.
 * @throws AppError start_refused, database_newer
 */
export async function ensureCluster(options: {
  clusterDir: string
  binaries: Binaries
  user: ServiceUser | undefined
  password: Secret
  onProgress: (what: string) => void
}): Promise<void> {
  const { clusterDir, binaries, user } = options
  const found = await stat(clusterDir).catch(() => undefined)
  if (found) {
    if (!user && found.uid !== process.getuid?.()) {
      throw new AppError('start_refused', {
        message: `The database in ${clusterDir} belongs to another user. Start Hearthlock as the user who made it.`,
      })
    }
    await checkVersion(clusterDir, binaries.major)
    await handOver(clusterDir, user)
    return
  }
  options.onProgress('creating the database cluster')
  const draft = `${clusterDir}.creating`
  await rm(draft, { recursive: true, force: true })
  await mkdir(draft, { mode: 0o700 })
  await handOver(draft, user)
  await initdb(binaries, draft, user, options.password)
  await rename(draft, clusterDir)
  await syncDirectory(dirname(clusterDir))
}

async function checkVersion(clusterDir: string, major: number): Promise<void> {
  const text = await readFile(`${clusterDir}/PG_VERSION`, 'utf8').catch(() => '')
  const found = Number.parseInt(text, 10)
  if (found === major) return
  if (Number.isNaN(found)) {
    throw new AppError('start_refused', {
      message: `The directory ${clusterDir} is there but holds no PostgreSQL cluster. Restore it, or move it away to begin anew.`,
    })
  }
  throw new AppError(found > major ? 'database_newer' : 'start_refused', {
    message: `The database in ${clusterDir} is of PostgreSQL ${found}, but this version of Hearthlock brings PostgreSQL ${major}. Start the version that made it.`,
  })
}

/**
 * The password goes through a real pipe (Node's own are sockets, which cannot be opened by name), so that it never
 * touches a disk: not even for a moment, not even as a deleted file.
 */
async function initdb(
  binaries: Binaries,
  folder: string,
  user: ServiceUser | undefined,
  password: Secret,
): Promise<void> {
  const args = [
    `--pgdata=${folder}`,
    `--username=${SUPERUSER}`,
    '--pwfile=/dev/stdin',
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // The same order and case rules on every machine, whatever its C library.
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--data-checksums',
    '--no-instructions',
  ]
  const script = `${LIMITED} cat | "$@"`
  const child = spawn('/bin/sh', ['-c', script, 'sh', binaries.initdb, ...args], {
    ...identity(user),
    cwd: '/',
    env: environment(),
    stdio: ['pipe', 'ignore', 'pipe'],
    detached: true,
  })
  child.stdin.on('error', () => {})
  child.stdin.end(`${password.reveal()}\n`)
  let complaint = ''
  child.stderr.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString('utf8')).slice(-1000)
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code === 0) return
  throw new AppError('start_refused', {
    message: `The database cluster could not be created in ${folder}.`,
    detail: `initdb ended with ${code}: ${complaint.trim()}`,
  })
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
