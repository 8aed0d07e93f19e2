import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type Client,
  createClient,
  fileSessionStore,
  isClientError,
  passkeyFile,
  patient,
  patiently,
} from '../client/index.ts'
import { AppError, Personal, Secret, silentLog } from '../core/index.ts'
import type { RunningServer } from '../main/index.ts'
import { type Credential, type SimulatedDevice, type Simulator, startSimulator } from '../simulator/index.ts'
import type { CliContext } from './context.ts'
import type { DeviceShape, HouseholdShape, ProvisionedShape } from './shapes.ts'
import { signUpByOutbox } from './sign-up-by-outbox.ts'
import { print } from './terminal.ts'

const MODELS = new URL('../../models/', import.meta.url)
const NICKNAMES: Record<string, string> = {
  Camera: 'Hallway',
  DoorLock: 'Front door',
  ExtendedColorLight: 'Reading lamp',
  OnOffPlugInUnit: 'Kettle',
}
const EMAIL = 'demo@example.org'

/** What would be in the person's phone and inside the devices. Lies apart from the server's data, mode 0600. */
interface DemoState {
  password: string
  devices: DemoDevice[]
}

interface StoredCredential {
  certificatePem: string
  privateKeyPem: string
}

interface DemoDevice extends StoredCredential {
  deviceId: string
  deviceType: string
  claimCode: string
  former?: StoredCredential | undefined
}

/**
 * A maker, a household and four simulated devices, made through the public doors only: HTTP and MQTT.
 * Started again, it goes on with the same household and devices.
 */
export async function startDemo({
  context,
  server,
  sendsLetters,
}: {
  context: CliContext
  server: RunningServer
  sendsLetters: boolean
}): Promise<Simulator> {
  const { terminal, config } = context
  // A first start on a busy machine: the server may ask for a moment.
  const customer = patient(
    createClient({
      baseUrl: urlOf(server),
      store: fileSessionStore(join(config.demoDir, 'customer.json')),
      clock: context.clock,
    }),
  )
  print(terminal, 'Demonstration: preparing a household …')
  const known = await loadState(config.demoDir)
  const state =
    known && (await signIn(customer, known.password))
      ? known
      : await makeDemo({ context, server, customer, sendsLetters })
  let saved = Promise.resolve()
  const simulator = startSimulator({
    mqttUrl: `mqtts://127.0.0.1:${server.mqttPort}`,
    authorityPem: server.authorityPem,
    devices: state.devices.map(simulated),
    onCredential: (device) => {
      // One file for all: one write after the other.
      saved = saved.then(() => keepCredential(config.demoDir, state, device))
      return saved
    },
    eventsPerSecond: 1,
    log: silentLog,
  })
  try {
    await claimAll(customer, state, simulator)
  } catch (error) {
    await simulator.close()
    throw error
  }
  print(
    terminal,
    `Demonstration: ${state.devices.length} devices are online in "Demo home". In another terminal:`,
  )
  print(terminal, `  npx hearthlock sign-in --email ${EMAIL}      (password: ${state.password})`)
  print(terminal, '  npx hearthlock devices')
  print(terminal, '  npx hearthlock watch')
  print(terminal, '  npx hearthlock unlock "Front door"')
  return simulator
}

function simulated({ deviceId, deviceType, former, ...credential }: DemoDevice): SimulatedDevice {
  return { deviceId, deviceType, ...opened(credential), former: former && opened(former) }
}

function opened({ certificatePem, privateKeyPem }: StoredCredential): Credential {
  return { certificatePem, privateKeyPem: new Secret(privateKeyPem) }
}

function stored({ certificatePem, privateKeyPem }: Credential): StoredCredential {
  return { certificatePem, privateKeyPem: privateKeyPem.reveal() }
}

async function keepCredential(demoDir: string, state: DemoState, device: SimulatedDevice): Promise<void> {
  const own = state.devices.find(({ deviceId }) => deviceId === device.deviceId)
  if (!own) return
  Object.assign(own, stored(device), { former: device.former && stored(device.former) })
  await saveState(demoDir, state)
}

async function makeDemo({
  context,
  server,
  customer,
  sendsLetters,
}: {
  context: CliContext
  server: RunningServer
  customer: Client
  sendsLetters: boolean
}): Promise<DemoState> {
  const { demoDir } = context.config
  if (!server.operatorEnrolment) {
    throw new AppError('start_refused', {
      message: `This installation has an operator already, and ${demoDir} does not know its demonstration. Start without --demo, or with another data directory.`,
    })
  }
  if (sendsLetters) {
    throw new AppError('start_refused', {
      message: 'The demonstration has an address that is nobody’s: start it without HEARTHLOCK_SMTP_URL.',
    })
  }
  await rm(demoDir, { recursive: true, force: true })
  await mkdir(demoDir, { recursive: true, mode: 0o700 })
  const operator = patient(
    createClient({
      baseUrl: urlOf(server),
      store: fileSessionStore(join(demoDir, 'operator.json')),
      clock: context.clock,
    }),
  )
  const email = 'operator@example.org'
  const link = await operator.enrolOperator({
    code: server.operatorEnrolment,
    email: new Personal(email),
    name: new Personal('Demo operator'),
  })
  const passkey = await patiently(() => operator.makePasskey(link))
  // HEARTHLOCK_SESSION_DIR=<this folder> npx hearthlock sign-in --operator
  const passphrase = randomBytes(18).toString('base64url')
  await writeFile(join(demoDir, 'operator-passphrase'), `${passphrase}\n`, { mode: 0o600 })
  await passkeyFile(join(demoDir, 'operator-passkey.json')).save(passkey, new Secret(passphrase))
  await operator.signIn({ clientId: 'hearthlock-operator-cli', passkey })

  const password = randomBytes(12).toString('base64url')
  const devices = await makeDevices(operator)
  await signUpByOutbox({
    customer,
    operator,
    person: { email: new Personal(EMAIL), name: new Personal('Demo'), password: new Secret(password) },
  })
  if (!(await signIn(customer, password)))
    throw new AppError('unavailable', { message: 'The demo account is not there.' })
  await customer.request<HouseholdShape>('POST', '/v1/households', { body: { name: 'Demo home' } })
  const state = { password, devices }
  await saveState(demoDir, state)
  return state
}

async function makeDevices(operator: Client): Promise<DemoState['devices']> {
  const made: DemoState['devices'] = []
  for (const file of (await readdir(MODELS)).filter((name) => name.endsWith('.json')).sort()) {
    const definition = JSON.parse(await readFile(new URL(file, MODELS), 'utf8'))
    await operator.request('POST', '/v1/models', { body: definition })
    const body = { model: definition.name, count: 1 }
    const { devices } = await operator.request<{ devices: ProvisionedShape[] }>('POST', '/v1/devices', {
      body,
    })
    for (const { deviceId, certificate, privateKey, claimCode } of devices) {
      made.push({
        deviceId,
        deviceType: definition.deviceType,
        certificatePem: certificate,
        privateKeyPem: privateKey ?? '',
        claimCode,
      })
    }
  }
  return made
}

/** Claims what is not claimed yet: a device can be claimed once it is online, so this waits for that. */
async function claimAll(customer: Client, state: DemoState, simulator: Simulator): Promise<void> {
  const { households } = await customer.request<{ households: HouseholdShape[] }>('GET', '/v1/households')
  const home = households[0]
  if (!home) throw new AppError('unavailable', { message: 'The demo household is not there.' })
  const held = await customer.request<{ devices: DeviceShape[] }>(
    'GET',
    `/v1/households/${home.householdId}/devices`,
  )
  const heldIds = new Set(held.devices.map((device) => device.deviceId))
  const missing = state.devices.filter((device) => !heldIds.has(device.deviceId))
  for (let tries = 0; simulator.stats().online < state.devices.length; tries += 1) {
    if (tries > 300)
      throw new AppError('unavailable', { message: 'The simulated devices did not come online.' })
    await delay(50)
  }
  for (const { claimCode, deviceType } of missing) {
    const body = { code: claimCode, nickname: NICKNAMES[deviceType] ?? deviceType }
    await customer.request('POST', `/v1/households/${home.householdId}/claims`, { body })
  }
}

async function signIn(customer: Client, password: string): Promise<boolean> {
  try {
    await customer.signIn({
      clientId: 'hearthlock-cli',
      email: new Personal(EMAIL),
      password: new Secret(password),
    })
    return true
  } catch (error) {
    if (isClientError(error, 'sign_in_refused')) return false
    throw error
  }
}

async function loadState(demoDir: string): Promise<DemoState | undefined> {
  try {
    return JSON.parse(await readFile(join(demoDir, 'demo.json'), 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function saveState(demoDir: string, state: DemoState): Promise<void> {
  const file = join(demoDir, 'demo.json')
  await writeFile(`${file}.new`, JSON.stringify(state), { mode: 0o600 })
  await rename(`${file}.new`, file)
}

/** @throws AppError start_refused: the demonstration's phones and devices need both doors */
function urlOf({ url, mqttPort }: RunningServer): string {
  if (url !== undefined && mqttPort !== undefined) return url
  throw new AppError('start_refused', { message: '--demo needs the API and the gateway: --role all.' })
}
