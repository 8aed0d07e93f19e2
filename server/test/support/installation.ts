import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const BIN = fileURLToPath(new URL('../../bin/hearthlock.js', import.meta.url))

export interface CommandResult {
  code: number | null
  stdout: string
  stderr: string
}

export interface Installation {
  directory: string
  dataDir: string
  rootKeyFile: string
  env: NodeJS.ProcessEnv
  httpPort: number
  mqttPort: number
  url: string
  /** What the server printed since it was last started. */
  output(): string
  process(): ChildProcess
  start(...args: string[]): Promise<void>
  /** Ctrl-C, and the exit code. */
  stop(): Promise<number | null>
  /** kill -9 of the server, its database left behind as it was. */
  kill(): Promise<void>
  /** Runs a `hearthlock` command as a person would; `input` is what is typed. */
  cli(
    args: string[],
    options?: { input?: string; env?: NodeJS.ProcessEnv; onOutput?: (text: string) => void },
  ): Promise<CommandResult>
  dispose(): Promise<void>
}

/** A whole installation in a directory of its own: real processes, real ports on loopback, real files. */
export async function createInstallation(extraEnv: NodeJS.ProcessEnv = {}): Promise<Installation> {
  const directory = await mkdtemp(join(tmpdir(), 'hearthlock-'))
  // As root, PostgreSQL runs as another user and has to get through.
  await chmod(directory, 0o711)
  const [httpPort, mqttPort, opsPort] = await freePorts(3)
  const env: NodeJS.ProcessEnv = {
    PATH: process.env.PATH,
    HOME: directory,
    HEARTHLOCK_DATA_DIR: join(directory, 'data'),
    HEARTHLOCK_ROOT_KEY_FILE: join(directory, 'keys', 'root.key'),
    HEARTHLOCK_HTTP_PORT: String(httpPort),
    HEARTHLOCK_MQTT_PORT: String(mqttPort),
    HEARTHLOCK_OPS_PORT: String(opsPort),
    HEARTHLOCK_URL: `http://localhost:${httpPort}`,
    HEARTHLOCK_LOG_LEVEL: 'warn',
    ...extraEnv,
  }
  let server: ChildProcess | undefined
  let printed = ''

  const installation: Installation = {
    directory,
    dataDir: join(directory, 'data'),
    rootKeyFile: join(directory, 'keys', 'root.key'),
    env,
    httpPort: httpPort as number,
    mqttPort: mqttPort as number,
    url: `http://localhost:${httpPort}`,
    output: () => printed,
    process() {
      if (!server) throw new Error('the server is not running')
      return server
    },
    async start(...args) {
      printed = ''
      server = spawn(process.execPath, [BIN, 'start', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
      const child = server
      for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (printed += chunk))
      const ready = args.includes('--demo') ? 'npx hearthlock unlock' : 'Ctrl-C stops it'
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`the server did not start in time:\n${printed}`)),
          60_000,
        )
        child.stdout?.on('data', () => {
          if (!printed.includes(ready)) return
          clearTimeout(timer)
          resolve()
        })
        child.once('exit', () => {
          clearTimeout(timer)
          reject(new Error(`the server stopped:\n${printed}`))
        })
      })
    },
    stop: () => end(server, 'SIGINT'),
    kill: async () => void (await end(server, 'SIGKILL')),
    cli: (args, options = {}) => run(args, { ...env, ...options.env }, options),
    async dispose() {
      // A fresh start after a kill takes care of the database that was left behind.
      if (server && server.signalCode === 'SIGKILL') await installation.start().catch(() => {})
      await end(server, 'SIGINT')
      await rm(directory, { recursive: true, force: true })
    },
  }
  return installation
}

async function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<number | null> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
  const exited = once(child, 'exit')
  child.kill(signal)
  const [code] = await exited
  return code
}

async function run(
  args: string[],
  env: NodeJS.ProcessEnv,
  { input, onOutput }: { input?: string; onOutput?: (text: string) => void },
): Promise<CommandResult> {
  const child = spawn(process.execPath, [BIN, ...args], { env, stdio: 'pipe' })
  const result: CommandResult = { code: null, stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => (result.stdout += chunk))
  if (onOutput) child.stdout.on('data', (chunk) => onOutput(String(chunk)))
  child.stderr.on('data', (chunk) => (result.stderr += chunk))
  child.stdin.on('error', () => {})
  child.stdin.end(input === undefined ? '' : `${input}\n`)
  const [code] = await once(child, 'close')
  return { ...result, code }
}

/** Ports that were free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
