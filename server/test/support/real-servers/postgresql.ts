import { chmod, chown, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { provideBinaries } from '../../../src/embedded/binaries.ts'
import { type ServiceUser, serviceUser } from '../../../src/embedded/service-user.ts'
import { makeCertificate } from './certificate.ts'
import { type RealServer, run, startReal } from './process.ts'

/**
 * The embedded PostgreSQL's programs, open to the network of this machine. `hba` are lines of pg_hba.conf; the only
 * role, `postgres` by default, has the password, if one is given.
 */
export async function startPostgresql(o: {
  hba: string[]
  password?: string
  role?: string
  tls?: boolean
}): Promise<RealServer> {
  // A directory that is not there: the user is the one that a new cluster would belong to.
  const user = await serviceUser('/nowhere/hearthlock')
  return startReal({
    command: user ? 'setpriv' : 'sh',
    async arrange({ directory, port, write }) {
      const own = await handedOver(user, directory)
      const runtimeDir = join(directory, 'programs')
      const { postgres, initdb } = await provideBinaries({ runtimeDir, user, onProgress: () => {} })
      const data = join(directory, 'data')
      const passwordFile = await own(await write('password', `${o.password ?? 'unused'}\n`))
      const settled = [
        `--username=${o.role ?? 'postgres'}`,
        `--pwfile=${passwordFile}`,
        '--encoding=UTF8',
        '--no-sync',
      ]
      const [command = '', ...args] = as(user, [initdb, '-D', data, '--auth=trust', ...settled])
      await run(command, args, { cwd: '/', env: { PATH: process.env.PATH ?? '', LC_ALL: 'C' } })
      const hba = await own(await write('hba.conf', `${o.hba.join('\n')}\n`))
      const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', `unix_socket_directories=${data}`]
      settings.push(`hba_file=${hba}`, 'fsync=off', 'shared_buffers=16MB', 'max_connections=20')
      if (o.tls) {
        const { certificatePath, keyPath } = await makeCertificate(directory)
        settings.push('ssl=on', `ssl_cert_file=${await own(certificatePath)}`)
        settings.push(`ssl_key_file=${await own(keyPath)}`)
      }
      const line = [postgres, '-D', data, ...settings.flatMap((setting) => ['-c', setting])]
      return user ? as(user, line).slice(1) : ['-c', 'exec "$@"', 'sh', ...line]
    },
    ready: ({ port }) => hasStarted(port),
  })
}

/** Makes the directory one that the user can work in, and gives a way of handing files over. */
async function handedOver(
  user: ServiceUser | undefined,
  directory: string,
): Promise<(path: string) => Promise<string>> {
  await mkdir(join(directory, 'data'), { mode: 0o700 })
  const own = async (path: string) => {
    await chmod(path, path.endsWith('data') ? 0o700 : 0o600)
    if (user) await chown(path, user.uid, user.gid)
    return path
  }
  if (user) await chmod(directory, 0o711)
  await own(join(directory, 'data'))
  return own
}

/** It takes connections before, and refuses whoever asks. Any other refusal is that of a server which has started. */
async function hasStarted(port: number): Promise<boolean> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'nobody',
    database: 'postgres',
    password: '',
  })
  try {
    await client.connect()
    return true
  } catch (error) {
    const { code = '' } = error as { code?: string }
    return code !== 'ECONNREFUSED' && code !== STARTING_UP
  } finally {
    await client.end().catch(() => {})
  }
}

const STARTING_UP = '57P03'

/** PostgreSQL does not run as root. */
function as(user: ServiceUser | undefined, line: string[]): string[] {
  if (!user) return line
  return ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', ...line]
}
