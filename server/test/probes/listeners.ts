import { createServer, type Server, type Socket } from 'node:net'
import { systemClock } from '../../src/core/index.ts'
import { type ProbeOptions, type ProbeResult, probe } from '../../src/probes/index.ts'

export interface Listeners {
  /** A server that does as it is told with each connection, on a free port of 127.0.0.1. */
  listen(onConnection: (socket: Socket) => void): Promise<number>
  close(): Promise<void>
}

export function createListeners(): Listeners {
  const servers: Server[] = []
  const sockets = new Set<Socket>()
  return {
    async listen(onConnection) {
      const server = createServer((socket) => {
        sockets.add(socket)
        socket.on('close', () => sockets.delete(socket))
        socket.on('error', () => {})
        onConnection(socket)
      })
      servers.push(server)
      await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
      return (server.address() as { port: number }).port
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      for (const server of servers.splice(0)) await new Promise((closed) => server.close(closed))
    },
  }
}

/** All results for some addresses of this machine. */
export async function resultsOf(
  addresses: readonly string[],
  options: Partial<ProbeOptions> = {},
): Promise<ProbeResult[]> {
  const results: ProbeResult[] = []
  const quick = { clock: systemClock, timeoutMilliseconds: 5_000, concurrency: 8, ratePerSecond: 1_000 }
  for await (const result of probe(addresses, { ...quick, ...options })) results.push(result)
  return results
}

/** The only result for one address. */
export async function resultOf(address: string, options: Partial<ProbeOptions> = {}): Promise<ProbeResult> {
  const [result, ...more] = await resultsOf([address], options)
  if (!result || more.length > 0) throw new Error(`one result was expected for ${address}`)
  return result
}
