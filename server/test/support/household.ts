import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import type { Installation } from './installation.ts'

export const CUSTOMER = {
  email: 'ada@example.org',
  name: 'Ada Lovelace-Marked',
  password: 'correct horse battery',
}
export const OPERATOR = {
  email: 'olga@maker.example',
  name: 'Olga Marked',
  passphrase: 'a long enough passphrase',
}

export interface FactoryDevice {
  deviceId: string
  claimCode: string
  folder: string
}

async function must(at: Installation, args: string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await at.cli(args, input === undefined ? {} : { input })
  if (code !== 0) throw new Error(`hearthlock ${args[0]}: ${stdout}${stderr}`)
  return stdout
}

/** The first operator, by commands. */
export async function enrolOperator(at: Installation): Promise<void> {
  const code = /--code (\S+)/.exec(at.output())?.[1] ?? ''
  await must(
    at,
    ['enrol', '--code', code, '--email', OPERATOR.email, '--name', OPERATOR.name, '--software-passkey'],
    OPERATOR.passphrase,
  )
  await must(at, ['sign-in', '--operator'], OPERATOR.passphrase)
}

/** Enrols and signs in the operator, signs up and signs in a customer, makes a home: by commands. */
export async function settle(at: Installation, home: string): Promise<void> {
  await enrolOperator(at)
  await signUp(at, CUSTOMER)
  await must(at, ['sign-in', '--email', CUSTOMER.email], CUSTOMER.password)
  await must(at, ['homes', 'create', '--name', home])
}

/** Signs up and confirms the address, by commands; an operator who is signed in reads the letter. */
export async function signUp(
  at: Installation,
  { email, name, password }: { email: string; name: string; password?: string },
): Promise<string> {
  const how = password === undefined ? ['--passkey'] : []
  const asked = await must(at, ['sign-up', '--email', email, '--name', name, ...how], password)
  const letter = await must(at, ['outbox', 'show'])
  const code = /[0-9A-Z]{5}-[0-9A-Z]{5}/.exec(letter)?.[0]
  if (!letter.includes(email) || !code) throw new Error('the newest letter is not that of the sign-up')
  const signUpId = /confirm-sign-up (\S+)/.exec(asked)?.[1] ?? ''
  return await must(at, ['confirm-sign-up', signUpId, code])
}

/** Adds the model of `server/models/<model>.json` and provisions devices of it. */
export async function provision(
  at: Installation,
  model: string,
  count: number,
  ...more: string[]
): Promise<FactoryDevice[]> {
  const file = fileURLToPath(new URL(`../../models/${model}.json`, import.meta.url))
  const models = await must(at, ['models'])
  if (!models.includes(model)) await must(at, ['models', 'add', file])
  const out = join(at.directory, 'factory')
  const printed = await must(at, [
    'provision',
    '--model',
    model,
    '--count',
    String(count),
    '--out',
    out,
    ...more,
  ])
  return printed
    .split('\n')
    .filter((line) => /^[0-9a-f-]{36} /.test(line))
    .map((line) => {
      const [deviceId = '', claimCode = ''] = line.split(/\s+/)
      return { deviceId, claimCode, folder: join(out, deviceId) }
    })
}

export async function connect(
  at: Installation,
  device: FactoryDevice,
  options: IClientOptions = {},
): Promise<MqttClient> {
  const read = (file: string) => readFile(join(device.folder, file))
  return mqtt.connectAsync(`mqtts://127.0.0.1:${at.mqttPort}`, {
    protocolVersion: 5,
    clientId: device.deviceId,
    ca: await read('authority.pem'),
    cert: await read('device.pem'),
    key: await read('device.key'),
    reconnectPeriod: 100,
    ...options,
  })
}

export async function claim(at: Installation, device: FactoryDevice, nickname: string): Promise<void> {
  await must(at, ['claim', device.claimCode, '--nickname', nickname])
}
