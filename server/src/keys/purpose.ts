import type { KeyObject } from 'node:crypto'
import { Secret } from '../core/index.ts'
import { hmac, subkeys, takeKey } from './derive.ts'
import { createNonces, type Nonces } from './nonces.ts'
import type { KeyProvider, RootKey } from './provider.ts'
import { sealBytes, unsealBytes } from './seal.ts'
import type { PurposeKey } from './sealing-key.ts'

interface PurposeVersion {
  version: number
  sealing: KeyObject
  digesting: KeyObject
  deriving: KeyObject
}

/**
 * The purpose key `name`: HKDF-SHA256(root, info = name), one subkey for each use, and for sealing one more for
 * each place (seal.ts says why). Needs no database, so that the embedded database's password can come from here.
 */
export function purposeKey(provider: KeyProvider, name: string, nonces: Nonces = createNonces()): PurposeKey {
  let derivedFrom: readonly RootKey[] | undefined
  let versions: PurposeVersion[] = []

  // The provider's array changes identity when a root key version is added: a running server takes it at once.
  function current(): PurposeVersion[] {
    const roots = provider.versions()
    if (roots !== derivedFrom) {
      versions = roots.map((root) => deriveVersion(root, name))
      derivedFrom = roots
    }
    return versions
  }
  const newest = () => current()[0] as PurposeVersion
  const secretOf = (version: PurposeVersion, label: string) =>
    new Secret(hmac(version.deriving, label).toString('base64url'))

  return {
    seal(place, plain) {
      const { version, sealing } = newest()
      return sealBytes(takeKey(hmac(sealing, place)), version, place, plain, nonces)
    },
    unseal(place, sealed) {
      return unsealBytes(
        (version) => {
          const found = current().find((candidate) => candidate.version === version)
          return found && takeKey(hmac(found.sealing, place))
        },
        place,
        sealed,
      )
    },
    digest: (value) => hmac(newest().digesting, value),
    digests: (value) => current().map((version) => hmac(version.digesting, value)),
    deriveSecret: (label) => secretOf(newest(), label),
    deriveSecrets: (label) => current().map((version) => secretOf(version, label)),
  }
}

type Triple = [KeyObject, KeyObject, KeyObject]

function deriveVersion(root: RootKey, name: string): PurposeVersion {
  const [sealing, digesting, deriving] = subkeys(root.secret, name, 3) as Triple
  return { version: root.version, sealing, digesting, deriving }
}

/** The credential of one purpose, for what starts before the database does: its own password, for one. */
export function derivePurposeSecret(provider: KeyProvider, name: string): Secret {
  return purposeKey(provider, name).deriveSecret('credential')
}
