import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** A way to PostgreSQL that can be made to swallow what goes through it, as a partition does: nothing is closed. */
export interface TcpProxy {
  /** The URL with this way in place of the server's own. */
  url: string
  /** From now on nothing passes: on all connections, or on those whose first bytes hold `mark`. */
  cut(mark?: string): void
  /** What was held back passes, in order, and everything after it. */
  heal(): void
  close(): Promise<void>
}

interface Way {
  ends: [Socket, Socket]
  /** The startup packet, which names the application in the clear. */
  opening: string
}

export async function createTcpProxy(databaseUrl: string): Promise<TcpProxy> {
  const url = new URL(databaseUrl.replace('@/', '@localhost/'))
  const directory = url.searchParams.get('host')
  const port = Number(url.port || 5432)
  const target = directory?.startsWith('/')
    ? { path: `${directory}/.s.PGSQL.${port}` }
    : { host: url.hostname, port }
  const ways = new Set<Way>()
  let isCut: (way: Way) => boolean = () => false

  const server = createServer((near) => {
    const far = connect(target)
    const way: Way = { ends: [near, far], opening: '' }
    ways.add(way)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (chunk: Buffer) => {
        if (from === near && way.opening.length < 512) way.opening += chunk.toString('latin1')
        if (isCut(way)) {
          from.pause()
          from.unshift(chunk)
        } else to.write(chunk)
      })
      from.on('error', () => {})
      from.on('close', () => {
        ways.delete(way)
        to.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port: own } = server.address() as { port: number }
  url.searchParams.delete('host')
  url.hostname = '127.0.0.1'
  url.port = String(own)

  return {
    url: url.toString(),
    cut(mark) {
      isCut = (way) => mark === undefined || way.opening.includes(mark)
    },
    heal() {
      isCut = () => false
      for (const way of ways) for (const end of way.ends) end.resume()
    },
    async close() {
      for (const way of ways) for (const end of way.ends) end.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
