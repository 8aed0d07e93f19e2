import { spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError, type Database, Secret } from '../core/index.ts'
import { databaseDump, type Target } from '../drill/index.ts'
import { openRunningDatabase, readConfig } from '../main/index.ts'
import { BIN, end, freePorts, started } from './server-process.ts'
import { startStolenCopy } from './stolen-copy.ts'

/** A whole installation of its own, with a process, ports on loopback, data and a root key, that goes when it is closed. */
export interface ThrowAway {
  folder: string
  dataDir: string
  /** Its folder for temporary files, which nobody else uses. */
  temporaryDir: string
  env: NodeJS.ProcessEnv
  url: string
  mqttUrl: string
  enrolmentCode: Secret
  pid: number
  startedAtMs: number
  printed(): string
  /** Into its database, beside it. */
  openDatabase(): Promise<Database>
  /** What the drill is told of it. */
  target(database: Database): Target
  close(): Promise<void>
}

/** The installation's own, of nobody: docs/threat-model.md, "What remains visible in a hollow copy". */
const EXACT_TIMES = [
  'core.migration.applied_at',
  'guard.watch.round_at',
  'guard.watch.until',
  'home.command.due_ms',
  'registry.server_identity.not_after',
]

/** @throws AppError start_refused with what it printed */
export async function startThrowAway(nowMs: () => number): Promise<ThrowAway> {
  const folder = await mkdtemp(join(tmpdir(), 'hearthlock-drill-'))
  // As root, PostgreSQL runs as another user and has to get through.
  await chmod(folder, 0o711)
  const temporaryDir = join(folder, 'tmp')
  await mkdir(temporaryDir)
  await chmod(temporaryDir, 0o1777)
  const [httpPort, mqttPort, opsPort] = await freePorts(3)
  const dataDir = join(folder, 'data')
  const env: NodeJS.ProcessEnv = {
    PATH: process.env.PATH,
    HOME: folder,
    TMPDIR: temporaryDir,
    HEARTHLOCK_DATA_DIR: dataDir,
    HEARTHLOCK_ROOT_KEY_FILE: join(folder, 'keys', 'root.key'),
    HEARTHLOCK_HTTP_PORT: String(httpPort),
    HEARTHLOCK_MQTT_PORT: String(mqttPort),
    HEARTHLOCK_OPS_PORT: String(opsPort),
    // All that it would ever say.
    HEARTHLOCK_LOG_LEVEL: 'debug',
  }
  const startedAtMs = nowMs()
  const server = spawn(process.execPath, [BIN, 'start'], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  for (const stream of [server.stdout, server.stderr]) stream.on('data', (chunk) => (printed += chunk))
  const close = async () => {
    await end(server)
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await started(server, () => printed.includes('Ctrl-C stops it'))
    const enrolmentCode = new Secret(/--code (\S+)/.exec(printed)?.[1] ?? '')
    return {
      folder,
      dataDir,
      temporaryDir,
      env,
      url: `http://localhost:${httpPort}`,
      mqttUrl: `mqtts://127.0.0.1:${mqttPort}`,
      enrolmentCode,
      pid: server.pid ?? 0,
      startedAtMs,
      printed: () => printed,
      openDatabase: async () => (await openRunningDatabase(await readConfig(env))).database,
      target: (database) => ({
        pids: [server.pid ?? 0],
        sinceMs: startedAtMs,
        declared: [{ name: 'data directory', path: dataDir }],
        temporary: [temporaryDir],
        declaredPeers: [],
        dump: databaseDump(database),
        printed: () => printed,
        exactTimes: EXACT_TIMES,
        startStolenCopy: () => startStolenCopy(dataDir, env),
      }),
      close,
    }
  } catch {
    await close()
    throw new AppError('start_refused', {
      message: `The installation to be drilled did not start:\n${printed}`,
    })
  }
}
