import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmod,
  chown,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BIN, end, freePorts, started } from './server-process.ts'

/** The bytes as they are, and everything else of the thief's own. */
export async function startStolenCopy(
  dataDir: string,
  env: NodeJS.ProcessEnv,
): Promise<'refused' | 'started' | 'unclear'> {
  const folder = await mkdtemp(join(tmpdir(), 'hearthlock-stolen-'))
  try {
    await chmod(folder, 0o711)
    const rootKeyFile = join(folder, 'keys', 'root.key')
    await mkdir(join(folder, 'keys'), { mode: 0o700 })
    const secret = randomBytes(32).toString('base64url')
    const keys = { format: 1, keys: [{ version: 1, secret, createdAt: '2020-01-01T00:00:00.000Z' }] }
    await writeFile(rootKeyFile, JSON.stringify(keys), { mode: 0o600 })
    const copy = join(folder, 'data')
    await copyFolder(dataDir, copy)
    const [httpPort, mqttPort, opsPort] = await freePorts(3)
    const server = spawn(process.execPath, [BIN, 'start'], {
      cwd: folder,
      env: {
        ...env,
        HOME: folder,
        HEARTHLOCK_DATA_DIR: copy,
        HEARTHLOCK_ROOT_KEY_FILE: rootKeyFile,
        HEARTHLOCK_HTTP_PORT: String(httpPort),
        HEARTHLOCK_MQTT_PORT: String(mqttPort),
        HEARTHLOCK_OPS_PORT: String(opsPort),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let printed = ''
    for (const stream of [server.stdout, server.stderr]) stream.on('data', (chunk) => (printed += chunk))
    try {
      await started(server, () => printed.includes('Ctrl-C stops it'))
      return 'started'
    } catch {
      // Any other reason says nothing: a copy of a live database need not be whole.
      return /root key/i.test(printed.split('hearthlock:')[1] ?? '') ? 'refused' : 'unclear'
    } finally {
      await end(server)
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Of the running server: a copy that had these would be taken for the place of that very process. */
const OF_THE_PROCESS = /^(postmaster\.pid|instance-\d+\.lock)$/

/** With owners and modes, which PostgreSQL asks for. Files of a live database may go while they are copied. */
async function copyFolder(from: string, to: string): Promise<void> {
  await keepOwner(from, to, () => mkdir(to))
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) await copyFolder(source, target)
    else if (entry.isSymbolicLink()) await symlink(await readlink(source), target)
    else if (entry.isFile() && !OF_THE_PROCESS.test(entry.name)) {
      await keepOwner(source, target, () => copyFile(source, target)).catch(
        (error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT') throw error
        },
      )
    }
  }
}

async function keepOwner(from: string, to: string, make: () => Promise<unknown>): Promise<void> {
  const { uid, gid, mode } = await stat(from)
  await make()
  if (process.getuid?.() === 0) await chown(to, uid, gid)
  await chmod(to, mode & 0o7777)
}
