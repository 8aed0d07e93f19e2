import { AppError } from '../../core/index.ts'

/** Where a copy goes. */
export type Address =
  | { kind: 'file' }
  | { kind: 'postgres'; host: string; port: number; user: string; database: string }

const WORD = /^[A-Za-z0-9_.-]{1,63}$/

/** `file`, or `postgres://user@host:port/database`. @throws AppError invalid_request */
export function parseDestination(to: string): Address {
  if (to === 'file') return { kind: 'file' }
  let url: URL
  try {
    url = new URL(to)
  } catch {
    throw invalid('A destination is written as file, or as postgres://user@host:port/database.')
  }
  // Arguments are seen by other users of a machine, and kept in its history.
  if (url.password !== '') throw invalid('Leave the password out of the address: it is asked for.')
  if (!['postgres:', 'postgresql:'].includes(url.protocol))
    throw invalid('A destination is a file, or a PostgreSQL database.')
  const database = decodeURIComponent(url.pathname.slice(1))
  const user = decodeURIComponent(url.username)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (url.search !== '' || url.hash !== '') throw invalid('An address of a destination has no options.')
  if (!host || !WORD.test(user) || !WORD.test(database))
    throw invalid(
      'An address of a destination names user, host and database: postgres://user@host:port/database.',
    )
  return { kind: 'postgres', host, port: Number(url.port || 5432), user, database }
}

/** What may be shown and probed: protocol, host, port. */
export function publicAddress(address: Address): string | undefined {
  if (address.kind === 'file') return undefined
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `postgres://${host}:${address.port}`
}

function invalid(message: string): AppError {
  return new AppError('invalid_request', { message })
}
