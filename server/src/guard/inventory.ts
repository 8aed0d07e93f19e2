import type { CopyId, Tx } from '../core/index.ts'
import { parseAddress } from '../probes/index.ts'
import type { Stores } from './stores.ts'
import type { Watched } from './watched.ts'

/** Where data of ours goes to that leaves this installation; a function of the room that feeds it. */
export interface Feeds {
  list(): Promise<{ copyId: CopyId; name: string; address: string | undefined; state: string }[]>
  /** Counts with the commit of `tx`, on every process, until an operator resumes it. */
  cut(tx: Tx, copyId: CopyId, reason: string): Promise<void>
}

export const noFeeds: Feeds = { list: async () => [], cut: async () => {} }

/** Everything that is watched, found anew each time. */
export interface Inventory {
  all(): Promise<Watched[]>
  /** The copies whose feed goes into this store, or would again. */
  feedsInto(
    watched: Pick<Watched, 'key' | 'address'>,
  ): Promise<{ copyId: CopyId; name: string; state: string }[]>
}

export function createInventory(o: {
  stores: Stores
  feeds: Feeds
  /** What the running system knows of itself: its doors, its database, its files. */
  own: () => Watched[]
}): Inventory {
  return {
    async all() {
      const fed = (await o.feeds.list()).filter(({ address }) => address !== undefined)
      const declared = await o.stores.list()
      const places = new Set(fed.map(({ address }) => placeOf(address as string)))
      return [
        ...o.own(),
        ...fed.map(({ copyId, name, address }): Watched => {
          return {
            key: `feed:${copyId}`,
            name: `copy ${name}`,
            address: address as string,
            fed: true,
            here: false,
          }
        }),
        ...declared.map(({ storeId, name, address }): Watched => {
          const alsoFed = places.has(placeOf(address))
          return { key: `declared:${storeId}`, name, address, fed: alsoFed, here: false }
        }),
      ]
    },

    async feedsInto({ key, address }) {
      const where = placeOf(address)
      return (await o.feeds.list()).filter(
        (feed) =>
          key === `feed:${feed.copyId}` || (feed.address !== undefined && placeOf(feed.address) === where),
      )
    },
  }
}

/** Host and port, so that one store under two names of its protocol is still one. */
function placeOf(address: string): string {
  try {
    const { host, port, text } = parseAddress(address)
    return port === undefined ? text : `${host.toLowerCase()} ${port}`
  } catch {
    return address
  }
}
