import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mqtt from 'mqtt'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type CommandId, newId } from '../../src/core/index.ts'
import type { Tenure } from '../../src/registry/index.ts'
import { createWorld, type TestDevice, type World } from './world.ts'

function installed(command: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${command}`])
    return true
  } catch {
    return false
  }
}
const hasMosquitto = installed('mosquitto_pub') && installed('mosquitto_sub')
const ON = { 'OnOff.OnOff': true }

describe('ordinary clients over TLS', () => {
  let world: World
  let device: TestDevice & { tenure: Tenure }
  let folder: string

  beforeAll(async () => {
    world = await createWorld()
    folder = await mkdtemp(join(tmpdir(), 'hearthlock-clients-'))
    await writeFile(join(folder, 'ca.pem'), world.registry.authorityCertificate())
  })
  afterAll(async () => {
    await world.close()
    await rm(folder, { recursive: true })
  })

  describe.each([4, 5] as const)('mqtt.js, level %i', (protocolVersion) => {
    const options = () => ({
      protocolVersion,
      ca: world.registry.authorityCertificate(),
      clientId: device.deviceId,
      reconnectPeriod: 20,
      clean: true,
    })

    it('publishes, is reconnected after a cut, gets a command and answers it', async () => {
      device = await world.held()
      const client = await mqtt.connectAsync(`mqtts://127.0.0.1:${world.ports.tls}`, {
        ...options(),
        cert: device.certificatePem,
        key: device.privateKeyPem,
      })
      const commandId = newId<CommandId>()
      client.on('message', (topic, payload) => {
        expect(topic).toBe(device.topic('commands'))
        client.publish(
          device.topic('results'),
          JSON.stringify({ id: JSON.parse(payload.toString()).id, status: 'SUCCESS' }),
          { qos: 1 },
        )
      })
      await client.subscribeAsync(device.topic('commands'), { qos: 1 })
      await client.publishAsync(device.topic('attributes'), JSON.stringify(ON), { qos: 1 })
      const again = new Promise<void>((resolve) => client.once('connect', () => resolve()))
      client.stream.destroy()
      await again
      await vi.waitFor(() => {
        const payload = Buffer.from(JSON.stringify({ id: commandId, command: 'OnOff.On', arguments: {} }))
        const { deviceId, tenure } = device
        expect(world.gateway.deliver({ deviceId, tenureId: tenure.tenureId, commandId, payload })).toBe(true)
      })
      await vi.waitFor(() => expect(world.delivered).toContain(commandId))
      await vi.waitFor(async () =>
        expect(await world.published(device)).toEqual([ON, { id: commandId, status: 'SUCCESS' }]),
      )
      await client.endAsync()
    })

    it('is told why it is refused', async () => {
      device = await world.held()
      const login = { ...options(), username: device.deviceId, reconnectPeriod: 0 }
      const url = `mqtts://127.0.0.1:${world.ports.tls}`
      await expect(mqtt.connectAsync(url, { ...login, password: 'wrong' })).rejects.toMatchObject({
        code: protocolVersion === 5 ? 0x86 : 4,
      })
      const client = await mqtt.connectAsync(url, { ...login, password: device.password })
      client.on('error', () => {})
      const refused = client.publishAsync(device.topic('attributes'), '{"OnOff.OnOff":"yes"}', { qos: 1 })
      if (protocolVersion === 5) await expect(refused).rejects.toMatchObject({ code: 0x99 })
      else await refused
      await client.endAsync(true)
      expect(await world.published(device)).toEqual([])
    })
  })

  describe.each(['mqttv311', 'mqttv5'])('mosquitto_pub and mosquitto_sub, %s', (version) => {
    const common = () => [
      '-h',
      'localhost',
      '-p',
      `${world.ports.tls}`,
      '-V',
      version,
      '--cafile',
      join(folder, 'ca.pem'),
      '-i',
      device.deviceId,
    ]
    const login = () => ['-u', device.deviceId, '-P', device.password]

    async function run(command: string, args: string[]): Promise<{ status: number | null; output: string }> {
      const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
      let output = ''
      child.stdout.on('data', (chunk) => {
        output += chunk
      })
      child.stderr.on('data', (chunk) => {
        output += chunk
      })
      const [status] = await once(child, 'close')
      return { status, output }
    }

    it.skipIf(!hasMosquitto)('publish, subscribe and are refused (needs mosquitto-clients)', async () => {
      device = await world.held()
      const topic = device.topic('attributes')
      expect(
        await run('mosquitto_pub', [
          ...common(),
          ...login(),
          '-q',
          '1',
          '-t',
          topic,
          '-m',
          JSON.stringify(ON),
        ]),
      ).toEqual({ status: 0, output: '' })
      expect(await world.published(device)).toEqual([ON])
      const command = run('mosquitto_sub', [
        ...common(),
        ...login(),
        '-q',
        '1',
        '-t',
        device.topic('#'),
        '-C',
        '1',
        '-W',
        '20',
      ])
      const { deviceId, tenure } = device
      const delivery = {
        deviceId,
        tenureId: tenure.tenureId,
        commandId: newId<CommandId>(),
        payload: Buffer.from('{"command":"OnOff.On"}'),
      }
      await vi.waitFor(() => expect(world.gateway.deliver(delivery)).toBe(true), { timeout: 10_000 })
      expect(await command).toEqual({ status: 0, output: '{"command":"OnOff.On"}\n' })
      for (const wrong of [
        [...login(), '-t', topic, '-m', '{}', '-r'],
        [...login(), '-t', topic, '-m', '{}', '-q', '2'],
        [...login(), '-t', topic, '-m', '{}', '--will-topic', topic],
        ['-u', deviceId, '-P', 'wrong', '-t', topic, '-m', '{}'],
      ]) {
        const refused = await run('mosquitto_pub', [...common(), '-q', '1', ...wrong])
        expect([wrong, refused.status === 0 && refused.output === '']).toEqual([wrong, false])
      }
      const foreign = await run('mosquitto_sub', [
        ...common(),
        ...login(),
        '-t',
        'hearth/1/#',
        '-W',
        '10',
        '-C',
        '1',
      ])
      expect(foreign.output).toMatch(/denied|not authori|subscription/i)
      expect(await world.published(device)).toEqual([ON])
    })
  })
})
