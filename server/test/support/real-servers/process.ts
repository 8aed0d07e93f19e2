import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect as connectTcp, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

/** A real server on 127.0.0.1 with a directory of its own. */
export interface RealServer {
  /** The first of its ports. */
  port: number
  ports: readonly number[]
  directory: string
  /** What it has said, for a test that fails. */
  output(): string
  /** Ends it and removes its directory. */
  close(): Promise<void>
}

export interface Place {
  directory: string
  ports: readonly number[]
  port: number
  /** Writes a file into the directory. Gives its path. */
  write(name: string, text: string): Promise<string>
}

export interface RealServerOptions {
  command: string
  /** How many ports it needs. */
  portCount?: number
  /** Writes its files; gives its arguments. */
  arrange(place: Place): Promise<string[]> | string[]
  environment?(place: Place): Record<string, string>
  /** Whether it serves. Asked until it says true; what it throws is a no. Default: the first port takes connections. */
  ready?(place: Place): Promise<boolean>
  /** A process that has to be there before it. */
  beside?: (place: Place) => { command: string; args: string[]; environment?: Record<string, string> }
}

const START_SECONDS = 90
const STOP_SECONDS = 8
const OUTPUT_CHARACTERS = 20_000
const TRIES = 3

export const run = promisify(execFile)

/** @throws Error with the server's own words when it does not start */
export async function startReal(options: RealServerOptions): Promise<RealServer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startOnce(options)
    } catch (error) {
      // Another process may have taken the port between our looking and the server's listening.
      if (attempt === TRIES || !/address (?:is )?already in use|EADDRINUSE|bind/i.test(String(error)))
        throw error
    }
  }
}

async function startOnce(options: RealServerOptions): Promise<RealServer> {
  const directory = await mkdtemp(join(tmpdir(), 'hearthlock-real-'))
  const ports = await freePorts(options.portCount ?? 1)
  const place: Place = {
    directory,
    ports,
    port: ports[0] as number,
    async write(name, text) {
      const path = join(directory, name)
      await writeFile(path, text)
      return path
    },
  }
  let said = ''
  const children: ChildProcess[] = []
  const start = (command: string, args: string[], environment: Record<string, string> = {}) => {
    const child = spawn(command, args, {
      cwd: directory,
      env: { ...baseEnvironment(), HOME: directory, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        said = (said + chunk).slice(-OUTPUT_CHARACTERS)
      })
    }
    child.on('error', (error) => {
      said += error.message
    })
    children.unshift(child)
    return child
  }
  const onExit = () => {
    for (const child of children) child.kill('SIGKILL')
  }
  process.once('exit', onExit)
  const close = async () => {
    for (const child of children) await stop(child)
    process.off('exit', onExit)
    await rm(directory, { recursive: true, force: true, maxRetries: 3 })
  }
  try {
    const args = await options.arrange(place)
    const beside = options.beside?.(place)
    if (beside) start(beside.command, beside.args, beside.environment)
    const child = start(options.command, args, options.environment?.(place))
    await untilReady(child, () => (options.ready ?? acceptsConnections)(place))
  } catch (error) {
    await close()
    throw new Error(`${options.command} did not start: ${(error as Error).message}\n${said}`)
  }
  return { port: place.port, ports, directory, output: () => said, close }
}

async function untilReady(child: ChildProcess, ready: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + START_SECONDS * 1_000
  while (performance.now() < end) {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
      throw new Error(`it ended with ${child.exitCode ?? child.signalCode}`)
    }
    if (await ready().catch(() => false)) return
    await delay(100)
  }
  throw new Error(`not within ${START_SECONDS} seconds`)
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_SECONDS * 1_000)
  await ended
  clearTimeout(timer)
}

/** Of the tests' own environment, what a program needs to run at all. */
function baseEnvironment(): Record<string, string> {
  const kept: Record<string, string> = { LANG: 'C.UTF-8' }
  const node = dirname(process.execPath)
  for (const name of ['PATH', 'TMPDIR', 'JAVA_HOME']) {
    const value = process.env[name]
    if (value !== undefined) kept[name] = value
  }
  kept.PATH = `${kept.PATH ?? ''}:${node}:/usr/sbin:/sbin`
  return kept
}

export async function acceptsConnections({ port }: { port: number }): Promise<boolean> {
  const socket = connectTcp({ host: '127.0.0.1', port })
  try {
    await once(socket, 'connect')
    return true
  } finally {
    socket.destroy()
  }
}

export async function freePorts(count: number): Promise<number[]> {
  const listeners = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  const ports: number[] = []
  for (const listener of listeners) {
    if (!listener.listening) await once(listener, 'listening')
    ports.push((listener.address() as { port: number }).port)
  }
  for (const listener of listeners) {
    listener.close()
    await once(listener, 'close')
  }
  return ports
}
