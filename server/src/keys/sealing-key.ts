import type { Secret } from '../core/index.ts'

export interface SealingKey {
  /**
   * Seals under the newest version; layout and nonces in seal.ts.
   * @param place where the value stands, made by `place()`; needed again to unseal
   */
  seal(place: string, plain: Buffer | string): Buffer
  /** @throws AppError integrity_failed when the value was changed, moved, cut, or sealed by another key */
  unseal(place: string, sealed: Buffer): Buffer
  /** HMAC-SHA256 under a subkey, 32 bytes. Of a stored key: the same after every rotation. */
  digest(label: string): Buffer
}

/** A key derived from the root key for one purpose of the whole installation; one version for each of the root's. */
export interface PurposeKey extends SealingKey {
  /** Under the newest version: what a new row stores. */
  digest(value: string | Buffer): Buffer
  /** Under every version, newest first: what a look-up compares with. */
  digests(value: string | Buffer): Buffer[]
  /** A credential for another program, 256 bits in base64url, from the newest version. */
  deriveSecret(label: string): Secret
  /** From every version, newest first: the first is to be set, the others may still be in force. */
  deriveSecrets(label: string): Secret[]
}
