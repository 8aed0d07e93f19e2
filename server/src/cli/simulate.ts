import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import { type Client, createClient, memorySessionStore, patiently } from '../client/index.ts'
import { AppError, Personal, Secret, silentLog } from '../core/index.ts'
import type { SimulatedDevice, Simulator } from '../simulator/index.ts'
import type { CliContext } from './context.ts'
import type { HouseholdShape, ProvisionedShape } from './shapes.ts'
import { signUpByOutbox } from './sign-up-by-outbox.ts'
import { print } from './terminal.ts'
import { wholeNumber } from './whole-number.ts'

interface SimulateOptions {
  homes: number
  rate: number
  duration: number
  mqtt?: string
}

interface ModelShape {
  name: string
  deviceType: string
}

/** Up to this many devices are made by one request. */
const PROVISION_BATCH = 1_000
/** So long without a single device means that there is no listener. */
const FIRST_ONLINE_SECONDS = 15
/** What one account may own. */
const HOMES_PER_CUSTOMER = 20

export function addSimulateCommand(program: Command, context: CliContext): void {
  program
    .command('simulate')
    .description(
      'run a simulated fleet against a server: every home has one device of each model that is there',
    )
    .summary('run a simulated fleet')
    .option('--homes <count>', 'how many homes, 1 to 1000', wholeNumber(1, 1_000), 10)
    .option('--rate <events>', 'events a second, over all devices together', wholeNumber(0, 100_000), 10)
    .option('--duration <seconds>', 'stop after so long', wholeNumber(1, 86_400), 60)
    .option('--mqtt <url>', 'where devices connect; by default port 8883 of the server')
    .action(async ({ homes, rate, duration, mqtt }: SimulateOptions) => {
      // Loaded here, for the other commands need no MQTT client.
      const { simulatedDeviceTypes, startSimulator } = await import('../simulator/index.ts')
      const { terminal, config, signal } = context
      const operator = context.as('operator')
      const { certificate } = await operator.request<{ certificate: string }>('GET', '/v1/device-authority')
      const all = (await operator.request<{ models: ModelShape[] }>('GET', '/v1/models')).models
      const models = all.filter((model) => simulatedDeviceTypes.includes(model.deviceType))
      if (models.length === 0) {
        throw new AppError('invalid_request', {
          message:
            'There is no model that can be simulated. Add one with: npx hearthlock models add server/models/hearth-bulb.json',
        })
      }
      const made = await makeFleet(operator, models, homes, (text) => print(terminal, text))
      const mqttUrl = mqtt ?? `mqtts://${new URL(config.url).hostname}:8883`
      const simulator = startSimulator({
        mqttUrl,
        authorityPem: certificate,
        devices: made.map(({ device }) => device),
        eventsPerSecond: rate,
        log: silentLog,
      })
      try {
        await allOnline({ simulator, signal, mqttUrl, say: (text) => print(terminal, text) })
        await claimFleet(context, made, homes, (text) => print(terminal, text))
        await run(simulator, duration, signal, (text) => print(terminal, text))
      } finally {
        await simulator.close()
      }
    })
}

interface MadeDevice {
  device: SimulatedDevice
  claimCode: string
}

async function makeFleet(
  operator: Client,
  models: ModelShape[],
  homes: number,
  say: (text: string) => void,
): Promise<MadeDevice[]> {
  const made: MadeDevice[] = []
  for (const { name, deviceType } of models) {
    for (let left = homes; left > 0; left -= PROVISION_BATCH) {
      const body = { model: name, count: Math.min(left, PROVISION_BATCH) }
      const { devices } = await operator.request<{ devices: ProvisionedShape[] }>('POST', '/v1/devices', {
        body,
      })
      for (const { deviceId, certificate, privateKey, claimCode } of devices) {
        const privateKeyPem = new Secret(privateKey ?? '')
        made.push({ device: { deviceId, deviceType, certificatePem: certificate, privateKeyPem }, claimCode })
      }
    }
    say(`made ${homes} × ${name}`)
  }
  return made
}

/** @throws AppError unavailable when after a while there is not one */
async function allOnline(o: {
  simulator: Simulator
  signal: AbortSignal
  mqttUrl: string
  say: (text: string) => void
}): Promise<void> {
  for (let seconds = 0; !o.signal.aborted; seconds += 1) {
    const { online, devices } = o.simulator.stats()
    if (online === devices) return
    if (online === 0 && seconds === FIRST_ONLINE_SECONDS) {
      const message = `No device came online at ${o.mqttUrl}. Say with --mqtt where the server's MQTT listener is.`
      throw new AppError('unavailable', { message })
    }
    o.say(`${online} of ${devices} devices online`)
    await delay(1_000)
  }
}

async function claimFleet(
  context: CliContext,
  made: MadeDevice[],
  homes: number,
  say: (text: string) => void,
): Promise<void> {
  const { signal } = context
  if (signal.aborted) return
  let customer = await newCustomer(context)
  for (let home = 0; home < homes; home += 1) {
    if (signal.aborted) return
    if (home > 0 && home % HOMES_PER_CUSTOMER === 0) customer = await newCustomer(context)
    const body = { name: `Simulated home ${home + 1}` }
    const household = await patiently(() =>
      customer.request<HouseholdShape>('POST', '/v1/households', { body }),
    )
    for (let index = home; index < made.length; index += homes) {
      const code = made[index]?.claimCode
      await patiently(() =>
        customer.request('POST', `/v1/households/${household.householdId}/claims`, { body: { code } }),
      )
    }
  }
  say(`${homes} homes have claimed their devices`)
}

/** A customer of the simulation, with an address and a password that nobody has. */
async function newCustomer({ config, clock, as }: CliContext): Promise<Client> {
  const customer = createClient({ baseUrl: config.url, store: memorySessionStore(), clock })
  const email = new Personal(`simulated-${randomBytes(8).toString('hex')}@example.org`)
  const password = new Secret(randomBytes(18).toString('base64url'))
  const person = { email, name: new Personal('Simulated'), password }
  await signUpByOutbox({ customer, operator: as('operator'), person })
  await patiently(() => customer.signIn({ clientId: 'hearthlock-cli', email, password }))
  return customer
}

async function run(
  simulator: Simulator,
  duration: number,
  signal: AbortSignal,
  say: (text: string) => void,
): Promise<void> {
  // What was refused before the devices were claimed does not count.
  const { refused: refusedBefore, acknowledged: acknowledgedBefore } = simulator.stats()
  let before = acknowledgedBefore
  for (let second = 1; second <= duration && !signal.aborted; second += 1) {
    await delay(1_000)
    const { online, devices, acknowledged, refused } = simulator.stats()
    say(
      `${second} s: ${online}/${devices} online, ${acknowledged - before} acknowledged in the last second, ${refused - refusedBefore} refused`,
    )
    before = acknowledged
  }
}
