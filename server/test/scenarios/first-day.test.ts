import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import mqtt, { type MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createInstallation, type Installation } from '../support/installation.ts'

const LOCK_MODEL = fileURLToPath(new URL('../../models/hearth-lock.json', import.meta.url))
const BULB_MODEL = fileURLToPath(new URL('../../models/hearth-bulb.json', import.meta.url))

/** What a person does on the first day, with commands only. */
describe('the first day', () => {
  let at: Installation
  const devices = new Map<string, { deviceId: string; claimCode: string; folder: string }>()
  const clients: MqttClient[] = []

  beforeAll(async () => {
    at = await createInstallation()
    await at.start()
  }, 90_000)

  afterAll(async () => {
    for (const client of clients) client.end(true)
    await at.dispose()
  })

  async function ok(args: string[], input?: string): Promise<string> {
    const result = await at.cli(args, input === undefined ? {} : { input })
    expect(result, args.join(' ')).toMatchObject({ code: 0 })
    return result.stdout
  }

  async function connectDevice(name: string): Promise<MqttClient> {
    const { deviceId, folder } = devices.get(name) as { deviceId: string; folder: string }
    const read = (file: string) => readFile(join(folder, file))
    const client = await mqtt.connectAsync(`mqtts://127.0.0.1:${at.mqttPort}`, {
      protocolVersion: 5,
      clientId: deviceId,
      ca: await read('authority.pem'),
      cert: await read('device.pem'),
      key: await read('device.key'),
      reconnectPeriod: 200,
    })
    clients.push(client)
    return client
  }

  it('the start tells where everything is, and the root key is its owner’s alone and apart from the data', async () => {
    expect(at.output()).toContain(at.url)
    expect(at.output()).toContain(at.rootKeyFile)
    expect(at.output()).toContain(at.dataDir)
    expect((await stat(at.rootKeyFile)).mode & 0o777).toBe(0o600)
    expect((await stat(at.dataDir)).mode & 0o066).toBe(0)
  })

  it('the first operator enrols with the code that the start printed, and it works only once', async () => {
    const code = /--code (\S+)/.exec(at.output())?.[1] ?? ''
    const enrol = (email: string) => [
      'enrol',
      '--code',
      code,
      '--email',
      email,
      '--name',
      'Olga',
      '--software-passkey',
    ]
    await ok(enrol('olga@maker.example'), 'a long enough passphrase')
    const env = { HEARTHLOCK_SESSION_DIR: join(at.directory, 'eve') }
    const again = await at.cli(enrol('eve@maker.example'), { input: 'a long enough passphrase', env })
    expect(again.code).toBe(1)
    const wrong = await at.cli(['sign-in', '--operator'], { input: 'some other passphrase' })
    expect(wrong.stderr).toContain('The passphrase is not right.')
    await ok(['sign-in', '--operator'], 'a long enough passphrase')
    expect(await ok(['whoami', '--operator'])).toContain('olga@maker.example')
  })

  it('the operator adds models and provisions devices, whose folders only this user can read', async () => {
    for (const [name, file] of [
      ['hearth-lock', LOCK_MODEL],
      ['hearth-bulb', BULB_MODEL],
    ] as const) {
      await ok(['models', 'add', file])
      const out = join(at.directory, 'factory')
      const printed = await ok(['provision', '--model', name, '--count', '1', '--out', out])
      const [deviceId = '', claimCode = ''] = printed.split(/\s+/)
      devices.set(name, { deviceId, claimCode, folder: join(out, deviceId) })
      expect((await stat(join(out, deviceId, 'device.key'))).mode & 0o777).toBe(0o600)
      expect(await readdir(join(out, deviceId))).toContain('claim-code.svg')
    }
    expect(await ok(['models'])).toContain('hearth-bulb')
  })

  it('a customer signs up, confirms with the code of the letter, signs in and makes a home', async () => {
    const signUp = ['sign-up', '--email', 'ada@example.org', '--name', 'Ada Example']
    const signUpId = /confirm-sign-up (\S+)/.exec(await ok(signUp, 'correct horse battery'))?.[1] ?? ''
    const signIn = (input: string) => at.cli(['sign-in', '--email', 'ada@example.org'], { input })
    const early = await signIn('correct horse battery')
    expect(early).toMatchObject({ code: 1, stderr: expect.stringContaining('confirm the address') })
    const code = /[0-9A-Z]{5}-[0-9A-Z]{5}/.exec(await ok(['outbox', 'show']))?.[0] ?? ''
    await ok(['confirm-sign-up', signUpId, code])
    expect(await at.cli(['confirm-sign-up', signUpId, code])).toMatchObject({ code: 1 })
    expect((await signIn('wrong horse battery')).stderr).toBe(early.stderr)
    const again = await ok(signUp, 'another correct horse')
    expect(again.replace(/[0-9a-f-]{36}/, '')).toBe(
      (await ok(['sign-up', '--email', 'new@example.org', '--name', 'New'], 'another correct horse')).replace(
        /[0-9a-f-]{36}/,
        '',
      ),
    )
    await ok(['sign-in', '--email', 'ada@example.org'], 'correct horse battery')
    expect(await ok(['homes'])).toContain('homes create')
    await ok(['homes', 'create', '--name', 'Ada’s cottage'])
    expect(await ok(['devices'])).toContain('claim')
    expect(await ok(['homes'])).toContain('Ada’s cottage')
  }, 90_000)

  it('a device that is not online cannot be claimed; once online, its code claims it', async () => {
    const lock = devices.get('hearth-lock')
    const early = await at.cli(['claim', lock?.claimCode ?? '', '--nickname', 'Front door'])
    expect(early).toMatchObject({ code: 1 })
    expect(early.stderr).toContain('online')
    await connectDevice('hearth-lock')
    await connectDevice('hearth-bulb')
    await ok(['claim', lock?.claimCode ?? '', '--nickname', 'Front door'])
    await ok(['claim', devices.get('hearth-bulb')?.claimCode.toLowerCase() ?? '', '--nickname', 'Lamp'])
    expect(await ok(['devices'])).toMatch(/Front door\s+hearth-lock\s+yes/)
  })

  it('what a device reports appears in the live view and in its timeline', async () => {
    const watching = spawn(
      process.execPath,
      [fileURLToPath(new URL('../../bin/hearthlock.js', import.meta.url)), 'watch'],
      {
        env: at.env,
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    let seen = ''
    watching.stdout.on('data', (chunk) => (seen += chunk))
    await vi.waitFor(() => expect(seen).toContain('Watching'), { timeout: 20_000 })
    const bulb = clients[1] as MqttClient
    const topic = `hearth/1/${devices.get('hearth-bulb')?.deviceId}/attributes`
    // The stream opens a moment after the line is printed; a bulb that changes goes on reporting.
    await vi.waitFor(
      async () => {
        await bulb.publishAsync(topic, '{"OnOff.OnOff":true,"LevelControl.CurrentLevel":77}', { qos: 1 })
        expect(seen).toContain('LevelControl.CurrentLevel=77')
      },
      { timeout: 20_000, interval: 200 },
    )
    watching.kill('SIGINT')
    expect(await once(watching, 'exit')).toEqual([0, null])
    expect(seen).toContain('Lamp')
    expect(await ok(['timeline', 'Lamp'])).toContain('LevelControl.CurrentLevel=77')
    expect(await ok(['devices'])).toContain('OnOff.OnOff=true')
  })

  it('a command goes down to the device and its result comes back', async () => {
    const lock = clients[0] as MqttClient
    const own = `hearth/1/${devices.get('hearth-lock')?.deviceId}`
    lock.on('message', (_topic, message) => {
      const { id, command } = JSON.parse(message.toString())
      expect(command).toBe('DoorLock.UnlockDoor')
      lock.publish(`${own}/results`, JSON.stringify({ id, status: 'SUCCESS' }), { qos: 1 })
    })
    await lock.subscribeAsync(`${own}/commands`, { qos: 1 })
    expect(await ok(['unlock', 'Front door'])).toContain('done')
    expect(await ok(['timeline', 'Front door'])).toContain('UnlockDoor')
  })

  it('a command to an offline bulb stays queued and is delivered when the bulb returns', async () => {
    const bulb = clients[1] as MqttClient
    await bulb.endAsync()
    await vi.waitFor(async () => expect(await ok(['devices'])).toMatch(/Lamp\s+hearth-bulb\s+no/), {
      timeout: 20_000,
    })
    const printed = await ok(['on', 'Lamp', '--wait', '0'])
    expect(printed).toContain('queued')
    const id = /command-status (\S+)/.exec(printed)?.[1] ?? ''
    const own = `hearth/1/${devices.get('hearth-bulb')?.deviceId}`
    const tooBright = await at.cli(['dim', 'Lamp', '101'])
    expect(tooBright.code).toBe(1)
    expect(tooBright.stderr).toContain('0 to 100')
    const returned = await connectDevice('hearth-bulb')
    returned.on('message', (_topic, message) => {
      returned.publish(
        `${own}/results`,
        JSON.stringify({ id: JSON.parse(message.toString()).id, status: 'SUCCESS' }),
        { qos: 1 },
      )
    })
    await returned.subscribeAsync(`${own}/commands`, { qos: 1 })
    await vi.waitFor(async () => expect(await ok(['command-status', id])).toContain('done'), {
      timeout: 20_000,
    })
  })

  it('a lock that is offline is not promised anything', async () => {
    const lock = clients[0] as MqttClient
    await lock.endAsync()
    await vi.waitFor(async () => expect(await ok(['devices'])).toMatch(/Front door\s+hearth-lock\s+no/), {
      timeout: 20_000,
    })
    const refused = await at.cli(['unlock', 'Front door', '--wait', '15'])
    expect(refused.code).toBe(1)
    expect(refused.stdout + refused.stderr).toMatch(/offline|expired/)
  })

  it('a simulated fleet comes with customers of its own, who claim its devices', async () => {
    const fleet = ['--homes', '1', '--rate', '1', '--duration', '1']
    const printed = await ok(['simulate', ...fleet, '--mqtt', `mqtts://127.0.0.1:${at.mqttPort}`])
    expect(printed).toContain('1 homes have claimed their devices')
    expect(printed).toContain('2/2 online')
  })

  it('a second instance on the same data is refused with one clear line', async () => {
    const second = await at.cli(['start'])
    expect(second.code).toBe(1)
    expect(second.stderr).toContain(String(at.process().pid))
  })

  it('Ctrl-C stops everything cleanly, and a second start finds everything as it was', async () => {
    expect(await at.stop()).toBe(0)
    await at.start()
    expect(at.output()).not.toContain('enrol --code')
    expect(await ok(['devices'])).toContain('Front door')
    expect(await ok(['timeline', 'Lamp'])).toContain('LevelControl.CurrentLevel=77')
  }, 90_000)

  it('after signing out the session is gone', async () => {
    await ok(['sign-out'])
    const after = await at.cli(['devices'])
    expect(after.code).toBe(1)
    expect(after.stderr).toContain('Sign in')
  })
})
