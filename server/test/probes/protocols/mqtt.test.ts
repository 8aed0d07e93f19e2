import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mosquitto, type RealServer, startMosquitto } from '../../support/real-servers/index.ts'
import { resultOf } from '../listeners.ts'

describe.skipIf(!mosquitto.path)(`an MQTT broker (${mosquitto.needs})`, () => {
  const started: RealServer[] = []
  let anonymous: RealServer
  beforeAll(async () => {
    anonymous = await start({ anonymous: true })
  })
  afterAll(() => Promise.all(started.map((server) => server.close())))
  async function start(options: Parameters<typeof startMosquitto>[0]): Promise<RealServer> {
    const server = await startMosquitto(options)
    started.push(server)
    return server
  }

  it.each([
    ['in clear', 'mqtt', 0],
    ['in TLS', 'mqtts', 1],
    ['over WebSocket', 'ws', 2],
  ])('that lets anybody subscribe is open %s, declared or not', async (_, scheme, index) => {
    const port = anonymous.ports[index]
    const open = {
      verdict: 'open',
      how: 'no-credentials',
      evidence: 'lets anybody subscribe to # and $SYS/#',
      protocol: scheme === 'ws' ? 'mqtt-websocket' : 'mqtt',
      ...(scheme === 'mqtts' && { tls: expect.objectContaining({ verified: false }) }),
    }
    expect(await resultOf(`${scheme}://127.0.0.1:${port}`)).toMatchObject(open)
    expect(await resultOf(`127.0.0.1:${port}`)).toMatchObject(open)
  })

  it('that asks for credentials is protected on each of its listeners', async () => {
    const server = await start({ anonymous: false, user: { name: 'operator', password: 'its-own' } })
    for (const [index, scheme] of ['mqtt', 'mqtts', 'ws'].entries()) {
      const result = await resultOf(`${scheme}://127.0.0.1:${server.ports[index]}`)
      expect(result).toMatchObject({ verdict: 'protected', evidence: 'asks for credentials' })
    }
  })

  it('that has a default account is open', async () => {
    const server = await start({ anonymous: false, user: { name: 'admin', password: 'public' } })
    const result = await resultOf(`mqtt://127.0.0.1:${server.port}`)
    expect(result).toMatchObject({ verdict: 'open', how: 'default-password' })
  })
})
