import { randomBytes } from 'node:crypto'
import mqtt, { type MqttClient } from 'mqtt'
import { AppError, type Log, type Secret } from '../core/index.ts'
import { attributes, type Random, type Report } from './behaviour.ts'
import { beginRenewal, type Credential, type Renewal } from './credential.ts'
import { behaviourOf } from './devices.ts'
import { newReset } from './reset.ts'

export interface SimulatedDevice extends Credential {
  deviceId: string
  /** A Matter device type's name. */
  deviceType: string
  /** What it was known by before: until the server has taken the new one, this may be what it wants. */
  former?: Credential | undefined
}

export interface SimulatedDeviceOptions {
  device: SimulatedDevice
  mqttUrl: string
  authorityPem: string
  random: Random
  log: Log
  /** It has another key and certificate: to be kept before it connects with them, or a restart loses the device. */
  onCredential?: ((device: SimulatedDevice) => Promise<void>) | undefined
}

export interface RunningDevice {
  readonly online: boolean
  /** Messages sent and not yet acknowledged. */
  readonly inFlight: number
  readonly acknowledged: number
  readonly refused: number
  stir(): void
  /** Somebody holds its reset button down: the claim code that it shows from then on. */
  reset(): Secret
  close(): Promise<void>
}

/** How many answers a device remembers, so that a command delivered twice is obeyed once. */
const REMEMBERED_COMMANDS = 64
/** Of the firmware that is simulated. */
const SOFTWARE_VERSION = 100
/** CONNACK "Bad User Name or Password" (MQTT 5 section 3.2.2.2). */
const BAD_CREDENTIAL = 0x86

interface Command {
  id: string
  command: string
  arguments?: Record<string, unknown>
}

interface Answer {
  id: string
  status: string
  response?: object
}

/** One device as a maker would build it: an MQTT 5 client over TLS with a certificate of its own. */
export function runDevice(options: SimulatedDeviceOptions): RunningDevice {
  const { mqttUrl, authorityPem, random, log, onCredential = async () => {} } = options
  let device = options.device
  const behaviour = behaviourOf(device.deviceType, random)
  if (!behaviour)
    throw new AppError('invalid_request', { message: `There is no simulation of ${device.deviceType}.` })
  const topic = (name: string) => `hearth/1/${device.deviceId}/${name}`
  const answers = new Map<string, Answer>()
  // This MQTT client sends again without DUP; an id of its own lets the server recognise a message all the same.
  const run = randomBytes(6).toString('base64url')
  let messages = 0
  let inFlight = 0
  let acknowledged = 0
  let refused = 0
  let renewal: Renewal | undefined
  let closed = false
  let client = connect()

  function connect(): MqttClient {
    const opened = mqtt.connect(mqttUrl, {
      protocolVersion: 5,
      clientId: device.deviceId,
      clean: true,
      ca: authorityPem,
      cert: device.certificatePem,
      key: device.privateKeyPem.reveal(),
      keepalive: 60,
      // Every device waits its own time, so that a fleet does not come back in one instant.
      reconnectPeriod: 1_000 + Math.floor(random() * 4_000),
    })
    opened.on('error', (error) => {
      log.debug('a simulated device could not connect', { error })
      if ((error as { code?: number }).code === BAD_CREDENTIAL) void fallBack(opened)
    })
    opened.on('connect', () => {
      opened.subscribe(topic('commands'), { qos: 1 })
      say(attributes({ 'BasicInformation.SoftwareVersion': SOFTWARE_VERSION }))
      for (const report of behaviour?.wake() ?? []) say(report)
      if (device.former) void keep({ ...device, former: undefined })
    })
    opened.on('message', (_topic, message) => void obey(JSON.parse(message.toString('utf8'))))
    return opened
  }

  async function keep(changed: SimulatedDevice): Promise<void> {
    device = changed
    await onCredential(device)
  }

  async function reconnect(): Promise<void> {
    await client.endAsync()
    if (!closed) client = connect()
  }

  /** The server never saw that we have the new certificate: it knows us by the former one. */
  async function fallBack(opened: MqttClient): Promise<void> {
    if (!device.former || opened !== client) return
    device = { ...device, ...device.former, former: { ...device } }
    await reconnect()
  }

  function say({ kind, payload }: Report): void {
    messages += 1
    publish(kind, { ...payload, $id: `${run}-${messages}` })
  }

  function publish(name: Report['kind'] | 'results', payload: object, then: () => void = () => {}): void {
    inFlight += 1
    client.publish(topic(name), JSON.stringify(payload), { qos: 1 }, (error) => {
      inFlight -= 1
      if (error) refused += 1
      else acknowledged += 1
      then()
    })
  }

  async function obey({ id, command, arguments: args = {} }: Command): Promise<void> {
    const known = answers.get(id)
    if (known) return publish('results', known)
    if (command.startsWith('OperationalCredentials.')) return renew(id, command, args)
    const { status, reports } = behaviour?.obey(command, args) ?? { status: 'FAILURE', reports: [] }
    const answer = { id, status }
    remember(answer)
    for (const report of reports) say(report)
    publish('results', answer)
  }

  /** Matter core specification 11.18.6.5 and 11.18.6.9, with PKCS#10 and X.509 where Matter has TLV. */
  async function renew(id: string, command: string, args: Record<string, unknown>): Promise<void> {
    if (command === 'OperationalCredentials.CSRRequest') {
      renewal = await beginRenewal(device, String(args.CSRNonce))
      publish('results', { id, status: 'SUCCESS', response: renewal.response })
      return
    }
    if (command !== 'OperationalCredentials.UpdateNOC' || !renewal) {
      publish('results', { id, status: 'INVALID_IN_STATE' })
      return
    }
    const { certificatePem, privateKeyPem } = device
    const next = renewal.complete(String(args.NOCValue))
    renewal = undefined
    // Kept before it is confirmed, with what it replaces: wherever the power goes, one of the two opens the door.
    await keep({ ...device, ...next, former: { certificatePem, privateKeyPem } })
    const answer = { id, status: 'SUCCESS', response: { StatusCode: 'OK' } }
    remember(answer)
    publish('results', answer, () => void reconnect())
  }

  function remember(answer: Answer): void {
    answers.set(answer.id, answer)
    if (answers.size > REMEMBERED_COMMANDS) answers.delete(answers.keys().next().value as string)
  }

  return {
    get online() {
      return client.connected
    },
    get inFlight() {
      return inFlight
    },
    get acknowledged() {
      return acknowledged
    },
    get refused() {
      return refused
    },
    stir() {
      for (const report of behaviour.stir()) say(report)
    },
    reset() {
      const { code, payload } = newReset()
      publish('events', payload)
      return code
    },
    async close() {
      closed = true
      await client.endAsync()
    },
  }
}
