import type { IncomingMessage } from 'node:http'

/** Whom a request comes from, while it is served: the OpenID provider hands its own hooks the bare request only. */
export interface Callers {
  note(req: IncomingMessage, remoteAddress: string | undefined): void
  of(req: IncomingMessage): string | undefined
}

export function createCallers(): Callers {
  const addresses = new WeakMap<IncomingMessage, string>()
  return {
    note(req, remoteAddress) {
      if (remoteAddress) addresses.set(req, remoteAddress)
    },
    of: (req) => addresses.get(req),
  }
}
