import { randomBytes, randomUUID } from 'node:crypto'
import mqtt from 'mqtt'
import { AppError, Secret } from '../core/index.ts'
import { event } from './behaviour.ts'
import type { Credential } from './credential.ts'

// Crockford's base 32: 256 is a multiple of 32, so that each character is as likely as each other.
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const CODE_LENGTH = 20
const ACKNOWLEDGED_WITHIN_MS = 15_000

/** What a device does when its reset button is held down: a new claim code for its screen, and the word to the server. */
export function newReset(): { code: Secret; payload: object } {
  const code = Array.from(randomBytes(CODE_LENGTH), (byte) => ALPHABET[byte % ALPHABET.length]).join('')
  const { payload } = event('BasicInformation.Leave', { FabricIndex: 1 })
  return {
    code: new Secret(code.replace(/(.{4})(?=.)/g, '$1-')),
    payload: { ...payload, $id: randomUUID(), $claimCode: code },
  }
}

/**
 * Tells of a reset in the name of a device that is not running here, and resolves to the code once the server has it. The
 * device's own connection is taken over by this one, as by a restart.
 * @throws AppError unavailable when the server does not take it
 */
export async function pressReset(device: {
  deviceId: string
  credential: Credential
  mqttUrl: string
  authorityPem: string
}): Promise<Secret> {
  const { code, payload } = newReset()
  const client = mqtt.connect(device.mqttUrl, {
    protocolVersion: 5,
    clientId: device.deviceId,
    ca: device.authorityPem,
    cert: device.credential.certificatePem,
    key: device.credential.privateKeyPem.reveal(),
    reconnectPeriod: 500,
  })
  // Without a listener it would end the process; what matters is whether there is an answer in time.
  client.on('error', () => {})
  const timeout = AbortSignal.timeout(ACKNOWLEDGED_WITHIN_MS)
  try {
    await new Promise((resolve, reject) => {
      timeout.addEventListener('abort', reject)
      client
        .publishAsync(`hearth/1/${device.deviceId}/events`, JSON.stringify(payload), { qos: 1 })
        .then(resolve, reject)
    })
  } catch (cause) {
    throw new AppError('unavailable', {
      message: `The server at ${device.mqttUrl} did not take the reset. Does it know this device?`,
      cause,
    })
  } finally {
    await client.endAsync(true)
  }
  return code
}
