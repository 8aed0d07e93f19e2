import { randomBytes } from 'node:crypto'
import mqtt, { type MqttClient } from 'mqtt'
import { AppError, type Log, type Secret } from '../core/index.ts'
import type { Random, Report } from './behaviour.ts'
import { behaviourOf } from './devices.ts'

export interface SimulatedDevice {
  deviceId: string
  /** A Matter device type's name. */
  deviceType: string
  certificatePem: string
  privateKeyPem: Secret
}

export interface SimulatedDeviceOptions {
  device: SimulatedDevice
  mqttUrl: string
  authorityPem: string
  random: Random
  log: Log
}

export interface RunningDevice {
  readonly online: boolean
  /** Messages sent and not yet acknowledged. */
  readonly inFlight: number
  readonly acknowledged: number
  readonly refused: number
  stir(): void
  close(): Promise<void>
}

/** How many answers a device remembers, so that a command delivered twice is obeyed once. */
const REMEMBERED_COMMANDS = 64

/** One device as a maker would build it: an MQTT 5 client over TLS with a certificate of its own. */
export function runDevice({
  device,
  mqttUrl,
  authorityPem,
  random,
  log,
}: SimulatedDeviceOptions): RunningDevice {
  const behaviour = behaviourOf(device.deviceType, random)
  if (!behaviour)
    throw new AppError('invalid_request', { message: `There is no simulation of ${device.deviceType}.` })
  const topic = (name: string) => `hearth/1/${device.deviceId}/${name}`
  const answers = new Map<string, string>()
  // This MQTT client sends again without DUP; an id of its own lets the server recognise a message all the same.
  const run = randomBytes(6).toString('base64url')
  let messages = 0
  let inFlight = 0
  let acknowledged = 0
  let refused = 0

  const client: MqttClient = mqtt.connect(mqttUrl, {
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
  client.on('error', (error) => log.debug('a simulated device could not connect', { error }))
  client.on('connect', () => {
    client.subscribe(topic('commands'), { qos: 1 })
    for (const report of behaviour.wake()) say(report)
  })
  client.on('message', (_topic, message) => obey(message))

  function say({ kind, payload }: Report): void {
    messages += 1
    publish(kind, { ...payload, $id: `${run}-${messages}` })
  }

  function publish(name: Report['kind'] | 'results', payload: object): void {
    inFlight += 1
    client.publish(topic(name), JSON.stringify(payload), { qos: 1 }, (error) => {
      inFlight -= 1
      if (error) refused += 1
      else acknowledged += 1
    })
  }

  function obey(message: Buffer): void {
    const { id, command, arguments: args } = JSON.parse(message.toString('utf8'))
    let status = answers.get(id)
    if (status === undefined) {
      const answer = behaviour?.obey(command, args ?? {})
      status = answer?.status ?? 'FAILURE'
      remember(id, status)
      for (const report of answer?.reports ?? []) say(report)
    }
    publish('results', { id, status })
  }

  function remember(id: string, status: string): void {
    answers.set(id, status)
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
    close: () => client.endAsync(),
  }
}
