import { join } from 'node:path'
import type { MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { newReset } from '../../src/simulator/reset.ts'
import { claim, connect, type FactoryDevice, provision, settle, signUp } from '../support/household.ts'
import { createInstallation, type Installation } from '../support/installation.ts'

/** Two homes, one lock, one bulb, a whole life of both: by the command line and real devices. */
describe('the life of a device over two homes', () => {
  let at: Installation
  let lock: FactoryDevice
  let bulb: FactoryDevice
  const clients = new Map<FactoryDevice, MqttClient>()

  beforeAll(async () => {
    at = await createInstallation()
    await at.start()
    await settle(at, 'Old home')
    ;[lock] = (await provision(at, 'hearth-lock', 1)) as [FactoryDevice]
    ;[bulb] = (await provision(at, 'hearth-bulb', 1)) as [FactoryDevice]
    await signUp(at, { email: 'grace@example.org', name: 'Grace', password: 'a password of the other' })
    await grace(['sign-in', '--email', 'grace@example.org'], 'a password of the other')
    await grace(['homes', 'create', '--name', 'New home'])
  }, 120_000)
  afterAll(async () => {
    for (const client of clients.values()) await client.endAsync(true)
    await at.dispose()
  })

  async function run(args: string[], input?: string, env?: NodeJS.ProcessEnv): Promise<string> {
    const { code, stdout, stderr } = await at.cli(args, {
      ...(input !== undefined && { input }),
      ...(env && { env }),
    })
    expect(stderr.replace(/^\(node:.*$/gm, '').trim()).toBe('')
    expect(code).toBe(0)
    return stdout
  }
  const ada = (args: string[], input?: string) => run(args, input)
  const graceEnv = () => ({ HEARTHLOCK_SESSION_DIR: join(at.directory, 'grace') })
  const grace = (args: string[], input?: string) => run(args, input, graceEnv())
  const graceFails = async (args: string[]) => {
    const { code, stderr } = await at.cli(args, { env: graceEnv() })
    expect(code).toBe(1)
    return stderr
  }

  async function online(device: FactoryDevice): Promise<MqttClient> {
    const client = await connect(at, device)
    clients.set(device, client)
    client.on('connect', () => void client.subscribe(`hearth/1/${device.deviceId}/commands`, { qos: 1 }))
    await client.subscribeAsync(`hearth/1/${device.deviceId}/commands`, { qos: 1 })
    return client
  }
  const say = (device: FactoryDevice, topic: string, payload: object) =>
    clients
      .get(device)
      ?.publishAsync(`hearth/1/${device.deviceId}/${topic}`, JSON.stringify(payload), { qos: 1 })
  const pressReset = async (device: FactoryDevice) => {
    const { code, payload } = newReset()
    await say(device, 'events', payload)
    device.claimCode = code.reveal()
  }

  it('a bulb that is reset by hand is free for whoever has it, and its old home is told', async () => {
    await online(bulb)
    await claim(at, bulb, 'Lamp')
    await say(bulb, 'attributes', { 'OnOff.OnOff': true })
    expect(await graceFails(['claim', bulb.claimCode])).toContain('has just been reset')
    await pressReset(bulb)
    await vi.waitFor(async () => expect(await ada(['devices'])).not.toContain('Lamp'), { timeout: 20_000 })
    expect(await ada(['homes', 'log'])).toContain('it is nobody')
    // It comes back by itself, and the new home takes it in.
    await vi.waitFor(async () => grace(['claim', bulb.claimCode, '--nickname', 'Desk']), { timeout: 20_000 })
    expect(await grace(['timeline', 'Desk'])).not.toContain('OnOff')
    expect(await ada(['past'])).toMatch(/Lamp +hearth-bulb .* reset /)
  }, 60_000)

  it('a lock that is reset by a thief stays where it is, and its home is told', async () => {
    await online(lock)
    await claim(at, lock, 'Front door')
    await pressReset(lock)
    expect(await ada(['devices'])).toContain('Front door')
    expect(await graceFails(['claim', lock.claimCode])).toContain('cannot be used')
    expect(await ada(['homes', 'log'])).toContain('it is still this home')
  }, 60_000)

  it('a lock goes over by a code, with nothing of its past, and the old home reads that', async () => {
    await say(lock, 'attributes', { 'DoorLock.LockState': 'Locked' })
    const code = /accept (\S+)/.exec(await ada(['transfer', 'offer', 'Front door']))?.[1] ?? ''
    await ada(['transfer', 'cancel', 'Front door'])
    expect(await graceFails(['transfer', 'accept', code])).toContain('cannot be used')
    const next = /accept (\S+)/.exec(await ada(['transfer', 'offer', 'Front door']))?.[1] ?? ''
    await grace(['transfer', 'accept', next, '--nickname', 'Gate'])
    expect(await ada(['devices'])).not.toContain('Front door')
    expect(await grace(['timeline', 'Gate'])).not.toContain('LockState')
    const tenure = /Front door +hearth-lock .* transferred +(\S+)/.exec(await ada(['past']))?.[1] ?? ''
    expect(await ada(['past', 'timeline', tenure])).toContain('LockState="Locked"')
    expect((await at.cli(['past', 'timeline', tenure], { env: graceEnv() })).code).toBe(1)
    await ada(['past', 'destroy', tenure])
    expect((await at.cli(['past', 'timeline', tenure])).code).toBe(1)
    expect(await grace(['homes', 'log'])).toContain('took over Gate from another home')
  }, 60_000)

  it('a lock that is released with its history destroyed leaves nothing, and is claimed after its reset', async () => {
    await grace(['release', 'Gate', '--destroy-history'])
    expect(await grace(['past'])).not.toContain('Gate')
    expect((await at.cli(['claim', lock.claimCode])).code).toBe(1)
    const label = lock.claimCode
    await vi.waitFor(
      async () => {
        const printed = await ada(['press-reset', lock.folder, '--mqtt', `mqtts://127.0.0.1:${at.mqttPort}`])
        lock.claimCode = printed.split('\n', 1)[0] ?? ''
        await claim(at, lock, 'Front door')
      },
      { timeout: 30_000 },
    )
    expect(lock.claimCode).toMatch(/^([0-9A-Z]{4}-){4}[0-9A-Z]{4}$/)
    expect(lock.claimCode).not.toBe(label)
    expect(await ada(['devices'])).toContain('Front door')
  }, 60_000)

  it('a dispute is told to the home, which objects', async () => {
    const opened = await ada([
      'disputes',
      'open',
      lock.deviceId,
      '--reason',
      'Left behind in a flat',
      '--evidence',
      'Case 4711',
    ])
    const id = /Opened (\S+)\./.exec(opened)?.[1] ?? ''
    expect(await ada(['homes', 'disputes'])).toMatch(new RegExp(`${id} .* waiting`))
    await ada(['homes', 'disputes', 'object', id, '--because', 'We live here'])
    expect(await ada(['disputes'])).toMatch(/objected .*Case 4711/)
    const early = await at.cli(['disputes', 'complete', id])
    expect(early.code).toBe(1)
    await ada(['disputes', 'reject', id])
    expect(await ada(['homes', 'log'])).toContain('was decided for this home')
    expect(await ada(['devices'])).toContain('Front door')
  }, 60_000)
})
