import { AppError, type CopyId, type Secret } from '../../core/index.ts'
import type { StoredCopy } from '../copy-store.ts'
import { publicAddress } from './address.ts'
import type { Destination } from './destination.ts'
import { duckdbDestination } from './duckdb.ts'
import { postgresDestination } from './postgres.ts'
import { type AskAsStranger, refuseOpen } from './stranger.ts'

/** How long an answer to a stranger's question is relied on. The guard asks beside this. */
const ASK_AGAIN_MS = 5_000

export interface Destinations {
  /** The same one for the same copy. */
  of(copy: StoredCopy): Destination
  /** Closes what is open of it. */
  forget(copyId: CopyId): Promise<void>
  close(): Promise<void>
}

export function createDestinations(o: {
  ask: AskAsStranger
  /** Of files. */
  directory?: string | undefined
  monotonicMs?: () => number
}): Destinations {
  const { monotonicMs = () => performance.now() } = o
  const open = new Map<CopyId, Destination>()

  function make({ copy_id: copyId, name, open: terms }: StoredCopy): Destination {
    const { destination: address } = terms
    if (address.kind === 'file') {
      if (!o.directory)
        throw new AppError('invalid_request', { message: 'This process keeps no files of copies.' })
      return duckdbDestination({ copyId, directory: o.directory })
    }
    const at = publicAddress(address) as string
    let askedAtMs = Number.NEGATIVE_INFINITY
    return postgresDestination({
      copyId,
      name,
      address,
      password: terms.password as Secret,
      authorityPem: terms.authorityPem,
      async refuseOpen(signal) {
        if (monotonicMs() - askedAtMs < ASK_AGAIN_MS) return
        await refuseOpen(o.ask, at, signal)
        askedAtMs = monotonicMs()
      },
    })
  }

  return {
    of(copy) {
      const known = open.get(copy.copy_id)
      if (known) return known
      const made = make(copy)
      open.set(copy.copy_id, made)
      return made
    },
    async forget(copyId) {
      const known = open.get(copyId)
      open.delete(copyId)
      await known?.close()
    },
    async close() {
      const all = [...open.values()]
      open.clear()
      await Promise.all(all.map((destination) => destination.close()))
    },
  }
}
