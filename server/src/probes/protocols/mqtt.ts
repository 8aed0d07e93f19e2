import type { Connection } from '../connection.ts'
import { garbled, isProbeFailure } from '../failure.ts'
import type { Observation } from '../observation.ts'
import type { Probe } from '../probe.ts'
import type { Target } from '../target.ts'
import { ACCOUNTS, type Account, type ByteStream, type Outcome, observe } from './mqtt-session.ts'
import { openWebSocket } from './websocket.ts'

/** MQTT 3.1.1 and 5 (OASIS). */
export const mqtt: Probe = {
  protocol: 'mqtt',
  aliases: ['mqtts'],
  name: 'MQTT brokers',
  defaultPorts: [1883, 8883],
  tlsPorts: [8883],
  run: (target) => target.either((each, tls) => askAll(each, tls, async (connection) => connection)),
}

export const mqttWebSocket: Probe = {
  protocol: 'mqtt-websocket',
  aliases: ['ws', 'wss'],
  name: 'MQTT brokers over WebSocket',
  defaultPorts: [8083, 8084, 9001],
  tlsPorts: [8084],
  http: 'upgrade',
  run: (target) => target.either(overWebSocket),
}

const PATHS = ['/mqtt', '/', '/ws'] as const

async function overWebSocket(target: Target, tls: boolean): Promise<Observation> {
  for (const path of PATHS) {
    try {
      return await askAll(target, tls, (connection) =>
        openWebSocket(connection, { target, path, protocol: 'mqtt' }),
      )
    } catch (error) {
      if (!isProbeFailure(error, 'garbled') || path === PATHS.at(-1)) throw error
    }
  }
  return garbled()
}

type Carry = (connection: Connection) => Promise<ByteStream>

/** As anybody, then with the accounts that brokers come with. */
async function askAll(target: Target, tls: boolean, carry: Carry): Promise<Observation> {
  let first: Observation | undefined
  for (const account of ACCOUNTS) {
    const seen = await ask(target, tls, carry, account)
    if (seen.verdict === 'open') return seen
    first ??= seen
    if (first.verdict !== 'protected') return first
    target.establish(first)
  }
  return first ?? garbled()
}

async function ask(
  target: Target,
  tls: boolean,
  carry: Carry,
  account: Account | undefined,
): Promise<Observation> {
  for (const version of [4, 5] as const) {
    const connection = await target.connect({ tls })
    try {
      const outcome: Outcome = await observe(await carry(connection), version, account)
      if (outcome !== 'other-version') return { ...outcome, ...(connection.tls && { tls: connection.tls }) }
    } finally {
      connection.close()
    }
  }
  return { verdict: 'other', evidence: 'speaks neither MQTT 3.1.1 nor 5', product: 'MQTT broker' }
}
