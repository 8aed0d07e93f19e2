import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ClientError } from './client-error.ts'

/** Where a browser comes back to after the sign-in page (RFC 8252 section 7.3): loopback, and a port for this once. */
export interface BrowserReturn {
  redirectUri: string
  /** Resolves with the address that the browser was sent to. @throws ClientError when `signal` aborts */
  wait(signal: AbortSignal): Promise<URL>
  close(): void
}

const page = (text: string) => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hearthlock</title></head><body><p>${text}</p></body></html>
`
const headers = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
}

/** @param state the request's own: what does not carry it was not sent by this sign-in, and ends nothing */
export async function awaitBrowser(state: string): Promise<BrowserReturn> {
  let arrived: (url: URL) => void
  const arrival = new Promise<URL>((resolve) => {
    arrived = resolve
  })
  const server = createServer((req, res) => {
    const url = new URL(req.url ?? '/', redirectUri)
    const ours =
      req.method === 'GET' && url.pathname === '/callback' && url.searchParams.get('state') === state
    res.writeHead(ours ? 200 : 404, headers)
    res.end(page(ours ? 'You can close this window and go back to the terminal.' : 'There is nothing here.'))
    if (ours) arrived(url)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const redirectUri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`
  return {
    redirectUri,
    async wait(signal) {
      const stopped = new Promise<never>((_resolve, reject) => {
        const stop = () =>
          reject(new ClientError({ code: 'unexpected', status: 0, message: 'The sign-in was not finished.' }))
        if (signal.aborted) stop()
        signal.addEventListener('abort', stop, { once: true })
      })
      return await Promise.race([arrival, stopped])
    },
    close() {
      server.close()
      server.closeIdleConnections()
    },
  }
}
