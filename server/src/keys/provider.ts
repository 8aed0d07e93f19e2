import { randomBytes } from 'node:crypto'
import { KEY_BYTES } from './derive.ts'

export interface RootKey {
  /** 1..65535, never used again */
  version: number
  /** 256 random bits */
  secret: Buffer
}

/** Holds the root key outside every store. */
export interface KeyProvider {
  /** True when this start made the key. */
  readonly created: boolean
  /** Newest first, never empty. A new version comes as a new array. */
  versions(): readonly RootKey[]
  /**
   * Adds a random version, durable when the promise resolves; this process seals with it from then on, and still
   * opens with the older ones. Then call `keys.rewrap()`. Other processes read it at their next start.
   */
  addVersion(): Promise<number>
}

/** A root key that lives as long as the process: for tests. */
export function memoryKeyProvider(): KeyProvider {
  let versions: readonly RootKey[] = [{ version: 1, secret: randomBytes(KEY_BYTES) }]
  return {
    created: true,
    versions: () => versions,
    async addVersion() {
      const version = (versions[0] as RootKey).version + 1
      versions = [{ version, secret: randomBytes(KEY_BYTES) }, ...versions]
      return version
    },
  }
}
