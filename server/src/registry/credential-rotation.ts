import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { sql } from 'kysely'
import { AppError, type Clock, type Database, type DeviceId } from '../core/index.ts'
import type { Authority } from './authority.ts'
import { isViolation } from './database-error.ts'
import type { Registry } from './face.ts'
import type { RegistryTables } from './tables.ts'
import { certificateDer, requestedKey, spkiOf } from './x509.ts'

const MAX_REQUEST_BYTES = 2048

/**
 * Replaces a device's key by one that it makes itself. Both keys open the door until the device comes with the new one
 * for the first time (`device-authentication`); whatever is lost on the way, it is never locked out.
 */
export function createCredentialRotation(d: {
  database: Database
  clock: Clock
  authority: Authority
}): Pick<Registry, 'requestRotation' | 'isRotationDue' | 'rotateCredential'> {
  const { database, clock, authority } = d
  const devices = () => database.queries.withTables<RegistryTables>()

  return {
    async requestRotation(tx, deviceIds) {
      if (deviceIds.length === 0) return 0
      const { numUpdatedRows } = await tx
        .withTables<RegistryTables>()
        .updateTable('registry.device')
        .set({ rotation_due: true })
        .where('device_id', 'in', [...deviceIds])
        .where('model_id', 'in', (eb) =>
          eb
            .selectFrom('registry.model')
            .select('model_id')
            .where(sql<boolean>`definition ->> 'credentialRotation' = 'true'`),
        )
        .executeTakeFirst()
      return Number(numUpdatedRows)
    },

    async isRotationDue(deviceId) {
      const row = await devices()
        .selectFrom('registry.device')
        .select('rotation_due')
        .where('device_id', '=', deviceId)
        .executeTakeFirst()
      return row?.rotation_due === true
    },

    async rotateCredential({ deviceId, nonce, request, signature }) {
      const row = await devices()
        .selectFrom('registry.device')
        .select('public_key')
        .where('device_id', '=', deviceId)
        .where('rotation_due', '=', true)
        .where('disabled', '=', false)
        .executeTakeFirst()
      if (!row) throw new AppError('not_found')
      // The key that it has now vouches for the next one, and for this very request: a recorded answer is worth nothing.
      if (!isSigned(Buffer.concat([request, nonce]), publicKeyOf(row.public_key), signature)) throw invalid()
      const key = request.length <= MAX_REQUEST_BYTES ? await requestedKey(request) : undefined
      if (!key) throw invalid()
      await keep(deviceId, spkiOf(key))
      return {
        certificateDer: certificateDer(await authority.issuer().issueDevice(deviceId, key, clock.nowMs())),
      }
    },
  }

  /** One key, one device: else neither could be told from the other. */
  async function keep(deviceId: DeviceId, nextKey: Buffer): Promise<void> {
    const taken = await devices()
      .selectFrom('registry.device')
      .select('device_id')
      .where('public_key', '=', nextKey)
      .executeTakeFirst()
    if (taken) throw invalid()
    const { numUpdatedRows } = await devices()
      .updateTable('registry.device')
      .set({ next_public_key: nextKey })
      .where('device_id', '=', deviceId)
      .where('rotation_due', '=', true)
      .executeTakeFirst()
      .catch((error: unknown) => {
        throw isViolation(error, 'unique') ? invalid() : error
      })
    if (numUpdatedRows === 0n) throw new AppError('not_found')
  }
}

/** 64 bytes: ECDSA with SHA-256 as r and s side by side (Matter core specification 3.5.3), or Ed25519. */
function isSigned(bytes: Buffer, key: KeyObject, signature: Buffer): boolean {
  return key.asymmetricKeyType === 'ed25519'
    ? verify(null, bytes, key, signature)
    : verify('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }, signature)
}

function publicKeyOf(spki: Buffer): KeyObject {
  return createPublicKey({ key: spki, format: 'der', type: 'spki' })
}

function invalid(): AppError {
  return new AppError('invalid_request', {
    message:
      'Expected a PKCS#10 request for a new P-256 or Ed25519 key, signed by that key, and vouched for by the present one.',
  })
}
