import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SOCKET_PORT } from './settings.ts'

export interface SocketDirectory {
  path: string
  /** Removes what a killed server left: its lock file would count for as long as anybody has its process number. */
  clear(): Promise<void>
  remove(): Promise<void>
}

/** `sun_path` holds 108 bytes on Linux and 104 elsewhere, with its final zero. */
const MAX_PATH_BYTES = process.platform === 'linux' ? 107 : 103

/**
 * A directory that only its owner may enter, for the Unix socket: in the data directory, or where its path is too
 * long for a socket, a fresh private one among the temporary files.
 */
export async function makeSocketDirectory(dataDir: string): Promise<SocketDirectory> {
  const wanted = join(dataDir, 'postgres-socket')
  if (fits(wanted)) {
    await mkdir(wanted, { recursive: true, mode: 0o700 })
    await chmod(wanted, 0o700)
    return { path: wanted, clear: () => clear(wanted), remove: async () => {} }
  }
  const base = fits(join(tmpdir(), 'hearthlock-XXXXXX')) ? tmpdir() : '/tmp'
  const path = await mkdtemp(join(base, 'hearthlock-'))
  return { path, clear: () => clear(path), remove: () => rm(path, { recursive: true, force: true }) }
}

async function clear(path: string): Promise<void> {
  const socket = join(path, `.s.PGSQL.${SOCKET_PORT}`)
  await rm(socket, { force: true })
  await rm(`${socket}.lock`, { force: true })
}

function fits(folder: string): boolean {
  return Buffer.byteLength(join(folder, `.s.PGSQL.${SOCKET_PORT}`)) <= MAX_PATH_BYTES
}
