import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'

/** The IP addresses of a host; none when it has none. */
export type Resolve = (host: string) => Promise<string[]>

/** A name with more addresses than these is a cloud's, not a store's. */
const MOST_ADDRESSES = 8

/** As the machine resolves names: hosts file and DNS. */
export const resolveByMachine: Resolve = async (host) => {
  if (isIP(host)) return [host]
  try {
    const found = await lookup(host, { all: true, order: 'verbatim' })
    return [...new Set(found.map(({ address }) => address))].slice(0, MOST_ADDRESSES)
  } catch {
    return []
  }
}
