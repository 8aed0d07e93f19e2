import { randomBytes, randomUUID } from 'node:crypto'
import { type Clock, type CommandId, type DeviceId, isAppError, type Log } from '../core/index.ts'
import type { GatewayRegistry } from './face.ts'

const NONCE_BYTES = 32
const EXPIRES_MS = 300_000
const BASE64 = /^[A-Za-z0-9+/]{1,4096}={0,2}$/

/**
 * Commands of the server itself: told from a household's by the version of their ids (RFC 9562 section 5.8, for uses
 * of one's own), so that an answer that comes late, over another connection, is recorded in nobody's timeline.
 */
function newOwnCommandId(): CommandId {
  const id = randomUUID()
  return `${id.slice(0, 14)}8${id.slice(15)}` as CommandId
}

export function isOwnCommand(commandId: string): boolean {
  return commandId[14] === '8'
}

/** What a device says to a command, its shape checked. */
export interface Answer {
  id: string
  status: string
  response?: Record<string, unknown> | undefined
}

export interface RotationOptions {
  deviceId: DeviceId
  registry: Pick<GatewayRegistry, 'rotateCredential'>
  clock: Clock
  log: Log
  send: (commandId: CommandId, payload: Buffer) => void
}

/**
 * Has one connected device replace its key pair, by the commands that Matter has for it (core specification 11.18.6.5,
 * 11.18.6.9): CSRRequest, then UpdateNOC. It starts anew on every connection until the device has come with the new key.
 */
export class Rotation {
  readonly #o: RotationOptions
  #asked: { commandId: CommandId; nonce: Buffer } | undefined

  constructor(o: RotationOptions) {
    this.#o = o
  }

  /** Asks for the new key; once a connection. */
  begin(): void {
    if (this.#asked) return
    const nonce = randomBytes(NONCE_BYTES)
    const commandId = this.#send('CSRRequest', {
      CSRNonce: nonce.toString('base64'),
      IsForUpdateNOC: true,
    })
    this.#asked = { commandId, nonce }
  }

  /** An answer that does not fit is left at that: the next connection asks again. */
  async answer({ id, status, response }: Answer): Promise<void> {
    const asked = this.#asked
    if (asked?.commandId !== id || status !== 'SUCCESS') return
    const request = bytesOf(response?.NOCSRElements)
    const signature = bytesOf(response?.AttestationSignature)
    if (!request || !signature) return
    const { registry, deviceId, log } = this.#o
    try {
      const { nonce } = asked
      const { certificateDer } = await registry.rotateCredential({ deviceId, nonce, request, signature })
      this.#send('UpdateNOC', { NOCValue: certificateDer.toString('base64') })
    } catch (error) {
      const expected = isAppError(error, 'invalid_request') || isAppError(error, 'not_found')
      log[expected ? 'debug' : 'warn']('a device did not get a new certificate', { error, deviceId })
    }
  }

  #send(command: string, args: object): CommandId {
    const id = newOwnCommandId()
    const expiresAt = new Date(this.#o.clock.nowMs() + EXPIRES_MS).toISOString()
    const message = {
      id,
      command: `OperationalCredentials.${command}`,
      endpoint: 0,
      arguments: args,
      expiresAt,
    }
    this.#o.send(id, Buffer.from(JSON.stringify(message)))
    return id
  }
}

function bytesOf(value: unknown): Buffer | undefined {
  return typeof value === 'string' && BASE64.test(value) ? Buffer.from(value, 'base64') : undefined
}
