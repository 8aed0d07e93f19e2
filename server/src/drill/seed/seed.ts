import { createPrivateKey } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type Client,
  createClient,
  memorySessionStore,
  patient,
  type SessionStore,
  type SoftwarePasskey,
} from '../../client/index.ts'
import { AppError, Personal, Secret, silentLog } from '../../core/index.ts'
import { type SimulatedDevice, type Simulator, startSimulator } from '../../simulator/index.ts'
import type { Known } from '../known.ts'
import { knownOf, type MarkedHousehold, markedHousehold } from './cast.ts'
import { signUp } from './letters.ts'
import { live } from './lives.ts'
import { connectSensor, reportNetwork, SENSOR } from './sensor.ts'
import type { Owner, Provisioned, Spent } from './shapes.ts'

/** The doors of the installation that is drilled, and what a maker has at hand there. */
export interface Doors {
  url: string
  mqttUrl: string
  /** For the first operator of an installation that has none. */
  enrolmentCode: Secret
}

export interface SeededDevice {
  deviceId: string
  credential: { certificatePem: string; privateKeyPem: Secret }
  password: Secret | undefined
  household: MarkedHousehold
}

export interface Seeded {
  households: MarkedHousehold[]
  owners: Owner[]
  operator: { client: Client; store: SessionStore }
  /** Somebody with an account and nothing else, who does not wait when told to. */
  attacker: Client
  devices: SeededDevice[]
  authorityPem: string
  known: Known[]
  spent: Spent[]
  /** Events that devices had acknowledged. */
  events: number
  close(): Promise<void>
}

export async function seed(o: {
  doors: Doors
  households: number
  /** Model descriptions as the maker has them: a lock and a bulb. */
  models: {
    lock: object & { name: string; deviceType: string }
    bulb: object & { name: string; deviceType: string }
  }
  /** Beyond what comes by itself. */
  events: number
  onProgress: (what: string) => void
}): Promise<Seeded> {
  const { doors, onProgress } = o
  const households = Array.from({ length: Math.max(2, o.households) }, (_, index) =>
    markedHousehold(index + 1),
  )
  const known = households.flatMap(knownOf)
  const spent: Spent[] = []
  const secret = (whose: string, value: string) =>
    void known.push({ kind: 'credential', whose, value: new Secret(value) })

  const newClient = () => {
    const store = memorySessionStore()
    return { store, client: patient(createClient({ baseUrl: doors.url, store })) }
  }
  onProgress('enrolling an operator')
  const operator = newClient()
  const operatorPasskey = await enrol(operator.client, doors.enrolmentCode)
  secret('the operator', doors.enrolmentCode.reveal())
  await operator.client.signIn({ clientId: 'hearthlock-operator-cli', passkey: operatorPasskey })
  for (const model of [o.models.lock, o.models.bulb, SENSOR])
    await operator.client.request('POST', '/v1/models', { body: model })
  const { certificate: authorityPem } = await operator.client.request<{ certificate: string }>(
    'GET',
    '/v1/device-authority',
  )

  const provision = async (name: string): Promise<Provisioned[]> => {
    const body = { model: name, count: households.length, withPassword: true }
    const { devices } = await operator.client.request<{ devices: Provisioned[] }>('POST', '/v1/devices', {
      body,
    })
    for (const [index, device] of devices.entries()) {
      const whose = households[index]?.whose ?? ''
      secret(whose, device.claimCode)
      if (device.password) secret(whose, device.password)
      secret(whose, String(createPrivateKey(device.privateKey ?? '').export({ format: 'jwk' }).d))
      spent.push({
        what: 'a claim code that was used',
        kind: 'claim code',
        value: new Secret(device.claimCode),
      })
    }
    return devices
  }
  onProgress('making devices')
  const [locks, bulbs, sensors] = [
    await provision(o.models.lock.name),
    await provision(o.models.bulb.name),
    await provision(SENSOR.name),
  ]
  const simulated = [
    ...locks.map((device) => simulate(device, o.models.lock.deviceType)),
    ...bulbs.map((device) => simulate(device, o.models.bulb.deviceType)),
  ]
  const simulator = startSimulator({
    mqttUrl: doors.mqttUrl,
    authorityPem,
    devices: simulated,
    eventsPerSecond: Math.max(20, Math.min(2_000, o.events / 10)),
    log: silentLog,
  })
  const sensorClients = await Promise.all(
    sensors.map((device) => connectSensor(doors.mqttUrl, authorityPem, device)),
  )
  const close = async () => {
    await simulator.close()
    await Promise.all(sensorClients.map((client) => client.endAsync(true)))
  }
  try {
    const owners: Owner[] = []
    await allOnline(simulator)
    for (const [index, household] of households.entries()) {
      onProgress(`settling household ${index + 1} of ${households.length}`)
      const owner = newClient()
      secret(household.whose, (await signUp(owner.client, operator.client, household)).reveal())
      await owner.client.signIn({ clientId: 'hearthlock-cli', ...household })
      const home = await owner.client.request<{ householdId: string }>('POST', '/v1/households', {
        body: { name: household.home.reveal() },
      })
      owners.push({ ...owner, householdId: home.householdId })
      for (const [place, device] of [locks[index], bulbs[index], sensors[index]].entries()) {
        const body = { code: device?.claimCode, nickname: household.nicknames[place]?.reveal() }
        await owner.client.request('POST', `/v1/households/${home.householdId}/claims`, { body })
      }
      await reportNetwork({
        socket: sensorClients[index] as (typeof sensorClients)[0],
        deviceId: sensors[index]?.deviceId ?? '',
        household,
        owner: owner.client,
      })
    }
    onProgress('sharing, recovering, handing over')
    await live({ households, owners, operator, newClient, locks, bulbs, known, secret, spent })
    const attacker = await newAttacker(doors.url, operator.client)
    onProgress('letting devices speak')
    for (let waited = 0; simulator.stats().acknowledged < o.events && waited < 600; waited += 1)
      await delay(100)
    for (const { store } of [...owners, operator]) await rememberTokens(store, secret)
    const devices = [locks, bulbs, sensors].flatMap((list) =>
      list.map((device, index) => ({
        deviceId: device.deviceId,
        credential: {
          certificatePem: device.certificate,
          privateKeyPem: new Secret(device.privateKey ?? ''),
        },
        password: device.password ? new Secret(device.password) : undefined,
        household: households[index] as MarkedHousehold,
      })),
    )
    return {
      households,
      owners,
      operator,
      attacker,
      devices,
      authorityPem,
      known,
      spent,
      events: simulator.stats().acknowledged,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function enrol(client: Client, code: Secret): Promise<SoftwarePasskey> {
  const link = await client.enrolOperator({
    code,
    email: new Personal('operator@drill.example'),
    name: new Personal('Operator of the drill'),
  })
  return await client.makePasskey(link)
}

function simulate({ deviceId, certificate, privateKey }: Provisioned, deviceType: string): SimulatedDevice {
  return { deviceId, deviceType, certificatePem: certificate, privateKeyPem: new Secret(privateKey ?? '') }
}

async function allOnline(simulator: Simulator): Promise<void> {
  for (let waited = 0; simulator.stats().online < simulator.stats().devices; waited += 1) {
    if (waited > 600)
      throw new AppError('unavailable', { message: 'The devices of the drill did not come online.' })
    await delay(50)
  }
}

async function rememberTokens(
  store: SessionStore,
  secret: (whose: string, value: string) => void,
): Promise<void> {
  const session = await store.load()
  if (!session) return
  secret('a session', session.accessToken.reveal())
  secret('a session', session.refreshToken.reveal())
  if (session.privateJwk.d) secret('a session', session.privateJwk.d)
}

async function newAttacker(baseUrl: string, operator: Client): Promise<Client> {
  const client = createClient({ baseUrl, store: memorySessionStore() })
  const person = markedHousehold(0)
  await signUp(patient(client), operator, person)
  await patient(client).signIn({ clientId: 'hearthlock-cli', ...person })
  return client
}
