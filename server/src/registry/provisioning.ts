import { type KeyObject, randomBytes } from 'node:crypto'
import {
  type AccountId,
  AppError,
  type Clock,
  type Database,
  type DeviceId,
  newId,
  type RecordAct,
  Secret,
} from '../core/index.ts'
import type { Keys } from '../keys/index.ts'
import type { Authority } from './authority.ts'
import { canonicalClaimCode, newClaimCode } from './claim-code.ts'
import { isViolation } from './database-error.ts'
import { type DecoyIds, withDecoy } from './decoy-devices.ts'
import { passwordPlain } from './device-authentication.ts'
import type { ProvisionedDevice, ProvisionRequest } from './face.ts'
import type { Models } from './models.ts'
import type { RegistryTables } from './tables.ts'
import { newKeyPair, requestedKey, spkiOf } from './x509.ts'

const MAX_COUNT = 1000
const MAX_REQUEST_LENGTH = 8192
/** Devices made at a time: keys and signatures come from the thread pool, and the event loop stays free. */
const AT_ONCE = 8

export interface ProvisioningOptions {
  database: Database
  keys: Keys
  clock: Clock
  models: Models
  authority: Authority
  recordAct: RecordAct
  /** None are planted without it. */
  decoys?: DecoyIds | undefined
}

/** Makes devices: certificate, claim code, perhaps a password. Keeps the public key and keyed digests. */
export function createProvisioning({
  database,
  keys,
  clock,
  models,
  authority,
  recordAct,
  decoys,
}: ProvisioningOptions) {
  const claimDigests = keys.purpose('registry.claim-code')
  const passwordDigests = keys.purpose('registry.device-password')

  async function make(key: KeyObject, privateKeyPem: string | undefined, withPassword: boolean) {
    const deviceId = newId<DeviceId>()
    const device: ProvisionedDevice = {
      deviceId,
      certificatePem: await authority.issuer().issueDevice(deviceId, key, clock.nowMs()),
      claimCode: newClaimCode(),
    }
    if (privateKeyPem !== undefined) device.privateKeyPem = new Secret(privateKeyPem)
    // 192 random bits: a keyed digest is enough, no slow hash is needed against guessing.
    if (withPassword) device.password = new Secret(randomBytes(24).toString('base64url'))
    return { device, publicKey: spkiOf(key) }
  }

  return async function provision(
    request: ProvisionRequest,
    options: { withPassword?: boolean | undefined; by?: AccountId | undefined } = {},
  ): Promise<ProvisionedDevice[]> {
    const model = await models.get(request.modelId)
    const withPassword = options.withPassword === true
    const made =
      'requests' in request
        ? await inTurns(await openRequests(request.requests), (key) => make(key, undefined, withPassword))
        : await inTurns(Array.from({ length: checkCount(request.count) }), async () => {
            const { publicKey, privateKeyPem } = await newKeyPair()
            return make(publicKey, privateKeyPem, withPassword)
          })
    const rows = made.map(({ device, publicKey }) => ({
      device_id: device.deviceId,
      model_id: model.id,
      public_key: publicKey,
      claim_code_digest: claimDigests.digest(canonicalClaimCode(device.claimCode) as string),
      password_digest: device.password
        ? passwordDigests.digest(passwordPlain(device.deviceId, device.password.reveal()))
        : null,
      made_on: new Date(clock.nowMs()),
      disabled: false,
    }))
    const planted = decoys ? await withDecoy(rows, decoys) : rows
    try {
      await database.transaction(async (tx) => {
        await tx
          .withTables<RegistryTables>()
          .insertInto('registry.device')
          .values(planted)
          // A decoy's id can come twice in a day, no other's.
          .onConflict((conflict) => conflict.column('device_id').doNothing())
          .execute()
        await recordAct(tx, {
          actor: options.by ?? 'system',
          act: 'devices.provisioned',
          subject: { kind: 'model', id: model.id },
          details: { count: rows.length, withPassword },
        })
      })
    } catch (error) {
      if (!isViolation(error, 'unique')) throw error
      // One key, two devices: then neither could be told from the other.
      throw new AppError('conflict', { message: 'A request brings a key that another device has already.' })
    }
    return made.map(({ device }) => device)
  }
}

async function openRequests(requests: readonly string[]): Promise<KeyObject[]> {
  checkCount(requests.length)
  const seen = new Set<string>()
  return inTurns(requests, async (pem, at) => {
    const key =
      typeof pem === 'string' && pem.length <= MAX_REQUEST_LENGTH ? await requestedKey(pem) : undefined
    if (!key) {
      throw new AppError('invalid_request', {
        message: `Request ${at + 1}: expected a PKCS#10 request in PEM for a P-256 or Ed25519 key, signed by that key.`,
      })
    }
    const fingerprint = spkiOf(key).toString('base64')
    if (seen.has(fingerprint)) {
      throw new AppError('invalid_request', {
        message: `Request ${at + 1}: its key stands in another request.`,
      })
    }
    seen.add(fingerprint)
    return key
  })
}

function checkCount(count: number): number {
  if (!Number.isInteger(count) || count < 1 || count > MAX_COUNT) {
    throw new AppError('invalid_request', { message: `Expected 1..${MAX_COUNT} devices at a time.` })
  }
  return count
}

async function inTurns<T, R>(items: readonly T[], work: (item: T, at: number) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length)
  let next = 0
  async function worker(): Promise<void> {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at] as T, at)
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker))
  return results
}
