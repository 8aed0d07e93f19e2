import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { provideBinaries } from '../../src/embedded/binaries.ts'
import { identity, serviceUser } from '../../src/embedded/service-user.ts'
import { freePorts } from './real-servers/process.ts'

const run = promisify(execFile)

export interface TlsPostgres {
  port: number
  password: string
  /** PEM: its certificate, which it signed itself. */
  authorityPem: string
  /** As its administrator. */
  query(sql: string, values?: unknown[]): Promise<pg.QueryResult>
  /** Begins a transaction with this statement and leaves it open. */
  hold(sql: string): { held: Promise<void>; release(): Promise<void> }
  /** Who is let in: pg_hba.conf's way for connections over TLS. */
  letIn(method: 'scram-sha-256' | 'trust'): Promise<void>
  close(): Promise<void>
}

/** A PostgreSQL server on 127.0.0.1 with TLS and passwords, as an analyst's would be. Needs openssl. */
export async function startTlsPostgres(): Promise<TlsPostgres> {
  const directory = await mkdtemp(join(tmpdir(), 'hearthlock-destination-'))
  const cluster = join(directory, 'cluster')
  const user = await serviceUser(cluster)
  const own = (path: string) => (user ? chown(path, user.uid, user.gid) : undefined)
  await chmod(directory, 0o755)
  const binaries = await provideBinaries({
    runtimeDir: join(directory, 'runtime'),
    user,
    onProgress: () => {},
  })
  const password = 'analysts only'
  const passwordFile = join(directory, 'password')
  const [key, certificate, hba] = ['server.key', 'server.crt', 'pg_hba.conf'].map((name) =>
    join(directory, name),
  ) as [string, string, string]
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
    ...[
      '-subj',
      '/CN=destination',
      '-addext',
      'subjectAltName=IP:127.0.0.1',
      '-keyout',
      key,
      '-out',
      certificate,
    ],
  ])
  await chmod(key, 0o600)
  await writeFile(passwordFile, password)
  const writeHba = (method: string) => writeFile(hba, `hostssl all all 127.0.0.1/32 ${method}\n`)
  await writeHba('scram-sha-256')
  for (const path of [directory, key, certificate, passwordFile, hba]) await own(path)
  const environment = { PATH: process.env.PATH, LC_ALL: 'C' }
  await run(
    binaries.initdb,
    ['-D', cluster, '-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '-N'],
    { ...identity(user), env: environment, cwd: '/' },
  )
  const [port = 0] = await freePorts(1)
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    ssl: 'on',
    ssl_cert_file: certificate,
    ssl_key_file: key,
    hba_file: hba,
    fsync: 'off',
    shared_buffers: '16MB',
  }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawn(binaries.postgres, ['-D', cluster, ...args], {
    ...identity(user),
    env: environment,
    cwd: '/',
    stdio: 'ignore',
  })
  const onExit = () => child.kill('SIGKILL')
  process.once('exit', onExit)
  const authorityPem = await readFile(certificate, 'utf8')

  async function connect(): Promise<pg.Client> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port,
      user: 'postgres',
      password,
      database: 'postgres',
      ssl: { ca: authorityPem },
    })
    client.on('error', () => {})
    await client.connect()
    return client
  }

  async function query(sql: string, values: unknown[] = []): Promise<pg.QueryResult> {
    const client = await connect()
    try {
      return await client.query(sql, values)
    } finally {
      await client.end()
    }
  }
  for (let tries = 0; ; tries += 1) {
    try {
      await query('select 1')
      break
    } catch (error) {
      if (tries === 200 || child.exitCode !== null) throw error
      await sleep(50)
    }
  }
  return {
    port,
    password,
    authorityPem,
    query,
    hold(sql) {
      const holding = connect().then(async (client) => {
        await client.query('begin')
        await client.query(sql)
        return client
      })
      return {
        held: holding.then(() => {}),
        release: async () => await (await holding).end(),
      }
    },
    async letIn(method) {
      await writeHba(method)
      await query('select pg_reload_conf()')
      await sleep(200)
    },
    async close() {
      if (child.exitCode === null) {
        const ended = once(child, 'exit')
        child.kill('SIGINT')
        await ended
      }
      process.off('exit', onExit)
      await rm(directory, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}
