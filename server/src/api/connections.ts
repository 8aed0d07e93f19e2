import { BlockList, isIP, type Server, type Socket } from 'node:net'
import { network } from '../core/index.ts'

/** Closes what comes beyond `max` open connections from one network, before a byte of it is read. */
export function boundConnectionsPerAddress(server: Server, max: number, excepted: readonly string[]): void {
  const isExcepted = listOf(excepted)
  const open = new Map<string, number>()
  server.on('connection', (socket: Socket) => {
    const { remoteAddress } = socket
    if (remoteAddress === undefined || isExcepted(remoteAddress)) return
    const from = network(remoteAddress)
    const held = open.get(from) ?? 0
    if (held >= max) {
      socket.destroy()
      return
    }
    open.set(from, held + 1)
    socket.once('close', () => {
      const left = (open.get(from) ?? 1) - 1
      if (left > 0) open.set(from, left)
      else open.delete(from)
    })
  })
}

/** @param entries addresses and networks (`192.0.2.0/24`) */
function listOf(entries: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const entry of entries) {
    const [address = '', prefix] = entry.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  // An IPv4 peer of an IPv6 socket comes as ::ffff:192.0.2.1; BlockList knows that it is the same.
  return (address) => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}
