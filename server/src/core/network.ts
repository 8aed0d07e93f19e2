import { isIPv6 } from 'node:net'

/** One IPv4 address, or an IPv6 /64: what one subscriber usually holds, and can change within at will. */
export function network(remoteAddress: string): string {
  const address = plainAddress(remoteAddress)
  return isIPv6(address) ? `${groupsOf(address).slice(0, 4).join(':')}::/64` : address
}

/** An IPv6 address is one of many that its holder may have: the /48 and the /32 around its /64. None around an IPv4 address. */
export function widerNetworks(remoteAddress: string): string[] {
  const address = plainAddress(remoteAddress)
  if (!isIPv6(address)) return []
  return [3, 2].map((groups) => `${groupsOf(address).slice(0, groups).join(':')}::/${groups * 16}`)
}

/** Where that is, as far as a person needs it to know their own sign-ins again: an IPv4 /24, an IPv6 /48. */
export function neighbourhood(remoteAddress: string): string {
  const address = plainAddress(remoteAddress)
  if (isIPv6(address)) return `${groupsOf(address).slice(0, 3).join(':')}::/48`
  return `${address.split('.').slice(0, 3).join('.')}.0/24`
}

function plainAddress(remoteAddress: string): string {
  return remoteAddress
    .toLowerCase()
    .replace(/^::ffff:(?=\d+\.)/, '')
    .replace(/%.*$/, '')
}

/** The eight groups of an IPv6 address, without leading zeros. */
function groupsOf(address: string): string[] {
  const [head = '', tail] = address.split('::')
  const left = head ? head.split(':') : []
  const right = tail ? tail.split(':') : []
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length
  const groups = [...left, ...Array<string>(Math.max(0, zeros)).fill('0'), ...right]
  return groups.map((group) => Number.parseInt(group, 16).toString(16))
}
