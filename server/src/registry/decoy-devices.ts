import { generateKeyPair, randomBytes, randomInt } from 'node:crypto'
import { promisify } from 'node:util'
import type { DeviceId } from '../core/index.ts'
import { spkiOf } from './x509.ts'

/**
 * Ids of devices that nobody makes: planted beside real ones, so that whoever tries one has our table. Which they are is
 * known to who gave them alone.
 */
export interface DecoyIds {
  newId(): DeviceId
  isOne(deviceId: DeviceId): boolean
  /** All that can have been given since. */
  since(fromMs: number): DeviceId[]
}

interface Row {
  device_id: DeviceId
  public_key: Buffer
  claim_code_digest: Buffer
  password_digest: Buffer | null
}

const generate = promisify(generateKeyPair)
const P256_SPKI_BYTES = 91

/** One row among those of a batch, which it is like in everything that is not random; at any place. */
export async function withDecoy<R extends Row>(rows: readonly R[], ids: DecoyIds): Promise<R[]> {
  const like = rows[randomInt(rows.length)] as R
  const { publicKey } =
    like.public_key.length === P256_SPKI_BYTES
      ? await generate('ec', { namedCurve: 'P-256' })
      : await generate('ed25519')
  const decoy: R = {
    ...like,
    device_id: ids.newId(),
    public_key: spkiOf(publicKey),
    // Of no code and no password: nothing that anybody types is digested to these.
    claim_code_digest: randomBytes(like.claim_code_digest.length),
    password_digest: like.password_digest && randomBytes(like.password_digest.length),
  }
  return rows.toSpliced(randomInt(rows.length + 1), 0, decoy)
}
