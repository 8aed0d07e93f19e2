import type { KeyObject } from 'node:crypto'
import { AppError, type ErrorCode, type KeyId } from '../core/index.ts'
import { hmac, subkeys } from './derive.ts'
import type { Nonces } from './nonces.ts'
import { sealBytes, unsealBytes } from './seal.ts'
import type { SealingKey } from './sealing-key.ts'

/** One version of a stored key in memory: a subkey for each use; the key itself is not kept. */
interface KeyVersion {
  version: number
  sealing: KeyObject
  digesting: KeyObject
  wrapping: KeyObject
}

/** The subkeys behind a handle. The handle may outlive them, and gets new versions without being replaced. */
export class KeyMaterial {
  /** Newest first. */
  #versions: KeyVersion[] = []

  get newest(): KeyVersion | undefined {
    return this.#versions[0]
  }

  get oldest(): KeyVersion | undefined {
    return this.#versions.at(-1)
  }

  get(version: number): KeyVersion | undefined {
    return this.#versions.find((candidate) => candidate.version === version)
  }

  /** Derives what is needed of a raw key, and wipes it. A version that is already here stays as it is. */
  add(version: number, raw: Buffer): void {
    if (!this.get(version)) {
      const [sealing, digesting, wrapping] = subkeys(raw, 'stored key', 3) as [
        KeyObject,
        KeyObject,
        KeyObject,
      ]
      this.#versions.push({ version, sealing, digesting, wrapping })
      this.#versions.sort((a, b) => b.version - a.version)
    }
    raw.fill(0)
  }

  /** Best effort: Node clears the bytes of a key when it collects the last reference to it (derive.ts). */
  wipe(): void {
    this.#versions = []
  }
}

/** What `open` hands out. Once ended it refuses: it never works on without its key. */
export class StoredKey implements SealingKey {
  readonly id: KeyId
  readonly material: KeyMaterial
  readonly #nonces: Nonces
  #ended: ErrorCode | undefined

  constructor(id: KeyId, material: KeyMaterial, nonces: Nonces) {
    this.id = id
    this.material = material
    this.#nonces = nonces
  }

  seal(place: string, plain: Buffer | string): Buffer {
    const { sealing, version } = this.#newest()
    return sealBytes(sealing, version, place, plain, this.#nonces)
  }

  unseal(place: string, sealed: Buffer): Buffer {
    this.#newest()
    return unsealBytes((version) => this.material.get(version)?.sealing, place, sealed)
  }

  // Under the first version for ever: rows are found by it after a rotation too.
  digest(label: string): Buffer {
    this.#newest()
    return hmac((this.material.oldest as KeyVersion).digesting, label)
  }

  wrap(place: string, raw: Buffer): Buffer {
    const { wrapping, version } = this.#newest()
    return sealBytes(wrapping, version, place, raw, this.#nonces)
  }

  unwrap(place: string, wrapped: Buffer): Buffer {
    this.#newest()
    return unsealBytes((version) => this.material.get(version)?.wrapping, place, wrapped)
  }

  get ended(): boolean {
    return this.#ended !== undefined
  }

  end(code: 'not_found' | 'unavailable'): void {
    this.#ended ??= code
    this.material.wipe()
  }

  #newest(): KeyVersion {
    if (this.#ended || !this.material.newest) throw new AppError(this.#ended ?? 'not_found')
    return this.material.newest
  }
}
