import { createServer as createHttpServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { generate, parser } from 'mqtt-packet'
import type { Secret } from '../../core/index.ts'

/** A service as those were to which the strings of the open store belonged: whoever has the string is let in. */
export interface PlantedTarget {
  url: string
  mqttUrl: string
  devicesMoved(): number
  close(): Promise<void>
}

const MAX_BODY = 65_536

export async function startPlantedTarget(tokens: readonly Secret[]): Promise<PlantedTarget> {
  const good = new Set(tokens.map((token) => token.reveal()))
  const moved = new Set<string>()
  const sockets = new Set<Socket>()
  const http = createHttpServer(async (request, response) => {
    const shown = await shownIn(request)
    const token = shown.find((text) => good.has(text))
    if (token === undefined) return response.writeHead(401).end()
    if (request.url?.endsWith('/commands')) moved.add(token)
    if (request.url?.startsWith('/oauth/auth?')) {
      return response.writeHead(303, { location: 'http://127.0.0.1/callback?code=planted' }).end()
    }
    response.writeHead(200).end('{}')
  })
  const mqtt = createServer((socket) => {
    sockets.add(socket)
    const reader = parser()
    reader.on('packet', (packet) => {
      if (packet.cmd !== 'connect') return
      const reasonCode = good.has(packet.password?.toString() ?? '') ? 0 : 0x86
      socket.end(generate({ cmd: 'connack', reasonCode, sessionPresent: false }, { protocolVersion: 5 }))
    })
    socket.on('data', (chunk) => reader.parse(chunk))
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
  })
  for (const server of [http, mqtt]) await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const port = (server: typeof http | typeof mqtt) => (server.address() as AddressInfo).port
  return {
    url: `http://127.0.0.1:${port(http)}`,
    mqttUrl: `mqtt://127.0.0.1:${port(mqtt)}`,
    devicesMoved: () => moved.size,
    async close() {
      for (const socket of sockets) socket.destroy()
      http.closeAllConnections()
      await Promise.all([http, mqtt].map((server) => new Promise((done) => server.close(done))))
    },
  }
}

/** Every string in which a credential could have come. */
async function shownIn(request: IncomingMessage): Promise<string[]> {
  let body = ''
  for await (const chunk of request) if (body.length < MAX_BODY) body += chunk
  const { authorization = '', cookie = '' } = request.headers
  const fields = request.headers['content-type']?.includes('json')
    ? Object.values(JSON.parse(body || '{}')).map(String)
    : [...new URLSearchParams(body).values()]
  return [authorization.split(' ')[1] ?? '', cookie.split('=')[1] ?? '', ...fields]
}
