import { chmod, mkdir, realpath, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, type Secret } from '../core/index.ts'
import { type Binaries, provideBinaries } from './binaries.ts'
import { ensureCluster } from './cluster.ts'
import { openServerLog, type ServerLog } from './server-log.ts'
import { handOver, letThrough, type ServiceUser, serviceUser } from './service-user.ts'
import { HBA } from './settings.ts'
import { makeSocketDirectory, type SocketDirectory } from './socket-directory.ts'

/** Everything on disk that the server needs, ready for it. */
export interface Place {
  clusterDir: string
  hbaFile: string
  binaries: Binaries
  user: ServiceUser | undefined
  socket: SocketDirectory
  serverLog: ServerLog
}

/** @throws AppError start_refused, database_newer */
export async function takePlace(
  options: { dataDir: string; password: Secret },
  onProgress: (what: string) => void,
): Promise<Place> {
  if (process.platform === 'win32') {
    throw new AppError('start_refused', {
      message:
        'The embedded PostgreSQL needs Unix sockets and does not run on Windows. Set HEARTHLOCK_DATABASE_URL.',
    })
  }
  await mkdir(options.dataDir, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 })
  // One spelling, so that a later start recognises the process by its command line.
  const dataDir = await realpath(options.dataDir)
  const clusterDir = join(dataDir, 'postgres')
  const user = await serviceUser(clusterDir)
  await letThrough(dataDir, user)
  const binaries = await provideBinaries({ runtimeDir: join(dataDir, 'runtime'), user, onProgress })
  await ensureCluster({ clusterDir, binaries, user, password: options.password, onProgress })
  // Outside the cluster, and ours: PostgreSQL's user reads it but cannot change who is let in.
  const hbaFile = join(dataDir, 'postgres-access.conf')
  await rm(hbaFile, { force: true })
  await writeFile(hbaFile, HBA, { flag: 'wx' })
  await chmod(hbaFile, 0o644)
  const socket = await makeSocketDirectory(dataDir)
  await handOver(socket.path, user)
  return { clusterDir, hbaFile, binaries, user, socket, serverLog: openServerLog(join(dataDir, 'logs')) }
}
