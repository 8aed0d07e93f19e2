import { isIP, isIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'
import { AppError } from '../core/index.ts'

/** An address that an operator declared. */
export interface DeclaredAddress {
  /** As it is printed. */
  text: string
  /** Lower case, as it was written before `://`. */
  scheme?: string
  /** A name in ASCII, or an IP address without brackets. */
  host: string
  port?: number
}

const LONGEST = 300
const SHAPE =
  /^(?:(?<scheme>[a-z][a-z0-9+.-]*):\/\/)?(?:\[(?<six>[^\]]+)\]|(?<host>[^:/[\]]+))(?::(?<port>\d{1,5}))?\/?$/i
/** As people write names, before they are made ASCII: that conversion drops what stands after a `?`. */
const WRITTEN = /^[\p{L}\p{M}\p{N}_.-]+$/u
const NAME = /^(?=.{1,253}$)(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?$/i

/**
 * Reads `host`, `host:port`, `protocol://host`, `protocol://host:port`; IPv6 in brackets.
 * @throws AppError invalid_request; its message repeats nothing of what may be a credential
 */
export function parseAddress(given: string): DeclaredAddress {
  const text = given.trim()
  // A connection string of somebody's: what stands before the @ is theirs, and is not needed.
  if (text.includes('@')) {
    throw refused(
      'Leave user names and passwords out: a probe asks as a stranger. Write protocol://host:port.',
    )
  }
  if (text.length > LONGEST) throw refused('An address is longer than any that can be.')
  if (isIPv6(text)) throw refused('IPv6 addresses are written in brackets: [::1] or [::1]:6379.')
  const found = SHAPE.exec(text)?.groups
  if (!found) {
    throw refused(
      'An address is written as host, host:port or protocol://host:port, IPv6 in brackets; no path, no range.',
    )
  }
  const { scheme, six, host: name = '', port } = found
  if (six !== undefined && !isIPv6(six)) throw refused('What stands in brackets is not an IPv6 address.')
  const host = six ?? hostOf(name)
  if (port !== undefined && !(Number(port) >= 1 && Number(port) <= 65_535)) {
    throw refused('A port is a number from 1 to 65535.')
  }
  return {
    text,
    ...(scheme !== undefined && { scheme: scheme.toLowerCase() }),
    host,
    ...(port !== undefined && { port: Number(port) }),
  }
}

function hostOf(name: string): string {
  if (isIP(name)) return name
  // 127.1 and 0x7f000001 are addresses to a resolver, and not the ones that a reader would think of.
  if (/(?:^|\.)(?:0x[0-9a-f]*|\d+)\.?$/i.test(name)) {
    throw refused('An IPv4 address is written with four numbers: 192.0.2.1.')
  }
  const host = WRITTEN.test(name) ? domainToASCII(name) : ''
  if (!NAME.test(host) || isIP(host)) throw refused('An address has no host name that can be.')
  return host
}

function refused(message: string): AppError {
  return new AppError('invalid_request', { message })
}
