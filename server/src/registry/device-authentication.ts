import { createPublicKey, type KeyObject, timingSafeEqual, X509Certificate } from 'node:crypto'
import { sql } from 'kysely'
import { AppError, type Clock, type Database, type DeviceId, isId } from '../core/index.ts'
import { type Keys, place } from '../keys/index.ts'
import { LEEWAY_SECONDS, signedAt } from './device-token.ts'
import type { DeviceIdentity, Registry } from './face.ts'
import type { Models } from './models.ts'
import type { RegistryTables } from './tables.ts'
import { TENURE_COLUMNS, toTenure } from './tenure-row.ts'
import { spkiOf } from './x509.ts'

const MAX_PASSWORD_LENGTH = 256
const MAX_CERTIFICATE_BYTES = 8192

export type DeviceAuthentication = Pick<
  Registry,
  'verifyDeviceCertificate' | 'verifyDeviceToken' | 'verifyDevicePassword'
> & { stats(): Record<string, number> }

export interface DeviceAuthenticationOptions {
  database: Database
  keys: Keys
  clock: Clock
  models: Models
}

/** What is digested of a device's password: bound to the device, so that a digest moved to another row is worthless. */
export function passwordPlain(deviceId: DeviceId, password: string): string {
  return place('registry.device.password', deviceId, password)
}

/** Three ways in, one refusal: what was wrong with a credential is nobody's business. */
export function createDeviceAuthentication(options: DeviceAuthenticationOptions): DeviceAuthentication {
  const { database, keys, clock, models } = options
  const passwordDigests = keys.purpose('registry.device-password')
  const counts = { accepted: 0, refused: 0 }

  function refused(): AppError {
    counts.refused++
    return new AppError('unauthenticated', { message: 'The device is not known by this credential.' })
  }

  /** Device, model and current tenure in one look-up, at every connection: nothing here may be stale. */
  async function find(deviceId: string) {
    if (!isId(deviceId)) return undefined
    const row = await database.queries
      .withTables<RegistryTables>()
      .selectFrom('registry.device as device')
      .leftJoin('registry.tenure as tenure', (join) =>
        join.onRef('tenure.device_id', '=', 'device.device_id').on('tenure.ended_hour', 'is', null),
      )
      .select(['device.device_id as id', 'device.model_id', 'device.public_key', 'device.password_digest'])
      .select(['device.next_public_key', 'device.rotation_due', 'device.rotation_epoch'])
      .select([
        sql<number>`registry.epoch()`.as('epoch'),
        sql<number>`registry.device_epoch(tenure.household_id)`.as('reset_epoch'),
        sql<Date | null>`registry.tokens_from(tenure.household_id)`.as('tokens_from'),
      ])
      .select(TENURE_COLUMNS)
      .where('device.device_id', '=', deviceId as DeviceId)
      .where('device.disabled', '=', false)
      .executeTakeFirst()
    return row
  }
  type Row = NonNullable<Awaited<ReturnType<typeof find>>>

  async function identity(row: Row, method: DeviceIdentity['method']): Promise<DeviceIdentity> {
    counts.accepted++
    const { tenure_id, device_id, household_id, key_id, started_hour } = row
    const tenure =
      tenure_id && device_id && household_id && key_id && started_hour
        ? toTenure({ tenure_id, device_id, household_id, key_id, started_hour })
        : undefined
    const model = await models.get(row.model_id)
    return {
      deviceId: row.id,
      model,
      tenure,
      method,
      rotationDue: row.rotation_due || (model.credentialRotation && (await isDueByReset(row))),
      epoch: row.epoch,
    }
  }

  /** Since a reset it has not been asked for a new key: it is now. */
  async function isDueByReset({ id, rotation_epoch, reset_epoch }: Row): Promise<boolean> {
    if (rotation_epoch >= reset_epoch) return false
    await database.queries
      .withTables<RegistryTables>()
      .updateTable('registry.device')
      .set({ rotation_due: true, rotation_epoch: reset_epoch })
      .where('device_id', '=', id)
      .where('rotation_epoch', '<', reset_epoch)
      .execute()
    return true
  }

  /**
   * A token from before a reset is a credential that somebody may have copied, and devices' clocks may be ahead: only what
   * is later by more than that was surely signed after it.
   */
  function refuseFromBefore({ tokens_from }: Row, signedAtMs: number): void {
    if (!tokens_from || signedAtMs > tokens_from.getTime() + LEEWAY_SECONDS * 1000) return
    if (signedAtMs <= tokens_from.getTime()) throw refused()
    // Its own: it signs another in a moment.
    throw new AppError('unavailable', { retryAfterSeconds: LEEWAY_SECONDS })
  }

  /** The device has come with its new key: the old one, and a password beside it, are worth nothing from now on. */
  async function takeOver(row: Row, nextKey: Buffer): Promise<Row> {
    await database.queries
      .withTables<RegistryTables>()
      .updateTable('registry.device')
      .set({ public_key: nextKey, next_public_key: null, rotation_due: false, password_digest: null })
      .where('device_id', '=', row.id)
      .where('next_public_key', '=', nextKey)
      .execute()
    // Another process may have done it, or another key may be awaited by now: only what stands there counts.
    const now = await find(row.id)
    if (!now?.public_key.equals(nextKey)) throw refused()
    return now
  }

  return {
    async verifyDeviceCertificate(der) {
      const certificate = der.length <= MAX_CERTIFICATE_BYTES ? parseCertificate(der) : undefined
      // The one attribute of the subject is the device's id: nothing else to be confused by.
      const deviceId = certificate && /^CN=([0-9a-f-]{36})$/.exec(certificate.subject)?.[1]
      const row = deviceId ? await find(deviceId) : undefined
      if (!row || !certificate) throw refused()
      // The key, not the certificate: TLS has proved the key, and a second certificate for it is still the device.
      const key = spkiOf(certificate.publicKey)
      if (key.equals(row.public_key)) return identity(row, 'certificate')
      if (!row.next_public_key?.equals(key)) throw refused()
      return identity(await takeOver(row, key), 'certificate')
    },

    async verifyDeviceToken(deviceId, jwt) {
      const row = await find(deviceId)
      if (!row) throw refused()
      const signedBy = (key: Buffer) => signedAt(jwt, publicKeyOf(key), row.id, clock.nowMs())
      const byPresent = signedBy(row.public_key)
      if (byPresent !== undefined) {
        refuseFromBefore(row, byPresent)
        return identity(row, 'token')
      }
      const byNext = row.next_public_key ? signedBy(row.next_public_key) : undefined
      if (!row.next_public_key || byNext === undefined) throw refused()
      refuseFromBefore(row, byNext)
      return identity(await takeOver(row, row.next_public_key), 'token')
    },

    async verifyDevicePassword(deviceId, password) {
      if (password.length > MAX_PASSWORD_LENGTH) throw refused()
      const row = await find(deviceId)
      const digests = passwordDigests.digests(passwordPlain(deviceId as DeviceId, password))
      const stored = row?.password_digest
      if (!row || !stored || !digests.some((digest) => timingSafeEqual(digest, stored))) throw refused()
      return identity(row, 'password')
    },

    stats: () => ({
      registry_device_authentications: counts.accepted,
      registry_device_authentications_refused: counts.refused,
    }),
  }
}

function parseCertificate(der: Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(der)
  } catch {
    return undefined
  }
}

function publicKeyOf(spki: Buffer): KeyObject {
  return createPublicKey({ key: spki, format: 'der', type: 'spki' })
}
