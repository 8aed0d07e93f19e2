import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

/** The command itself. */
export const BIN = fileURLToPath(new URL('../../bin/hearthlock.js', import.meta.url))
const START_SECONDS = 120

export function started(server: ChildProcess, isReady: () => boolean): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const tooLate = setTimeout(() => reject(new Error('it took too long')), START_SECONDS * 1_000)
  server.stdout?.on('data', () => isReady() && resolve())
  server.once('exit', () => reject(new Error('it ended')))
  return promise.finally(() => clearTimeout(tooLate))
}

export async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const exited = once(server, 'exit')
  server.kill('SIGINT')
  await exited
}

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
